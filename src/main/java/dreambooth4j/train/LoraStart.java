package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.config.LoraConfig;
import dreambooth4j.engine.Parameter;
import dreambooth4j.model.AdapterKind;
import dreambooth4j.model.Adapters;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.Group;
import dreambooth4j.weights.LoraFactor;
import dreambooth4j.weights.LoraFile;
import dreambooth4j.weights.LoraLayer;
import dreambooth4j.weights.ModelLayers;
import dreambooth4j.weights.ModelSource;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The adapters of a LoRA file that training goes on from, whatever its naming: which layers have
 * one, and of what size and kind, is the file's to say.
 */
final class LoraStart {
  private final Path path;
  private final ModelLayers model;
  private final LoraConfig config;
  private final AdapterKind kind;
  private final Map<Component, Map<String, Adapters.Size>> sizes = new EnumMap<>(Component.class);

  /**
   * Reads what the file holds, but for its numbers.
   *
   * @param trained the components that are to train
   * @throws Problem when it is no LoRA of this model, or one that cannot be trained on
   */
  LoraStart(Path path, ModelSource base, LoraConfig config, List<Component> trained) {
    this.path = path;
    this.config = config;
    model = ModelLayers.of(base);
    try (LoraFile file = LoraFile.open(path, model)) {
      List<LoraLayer> layers = file.layers();
      boolean dora = layers.get(0).has(LoraFactor.MAGNITUDE);
      kind = dora ? AdapterKind.DORA : AdapterKind.LORA;
      for (LoraLayer each : layers) {
        require(each, dora, trained);
        int rank = (int) each.rank().orElseThrow();
        sizes
            .computeIfAbsent(each.component(), component -> new LinkedHashMap<>())
            .put(each.name(), new Adapters.Size(rank, config.alphaOf(rank)));
      }
    }
    for (Component each : trained) {
      if (!sizes.containsKey(each)) {
        throw Problem.usage(
            "lora_weights %s has nothing for the %s: leave out train_text_encoder, or lora_weights"
                .formatted(path, each.folder()));
      }
    }
  }

  private void require(LoraLayer layer, boolean dora, List<Component> trained) {
    if (!layer.has(LoraFactor.UP) || layer.has(LoraFactor.MID)) {
      throw Problem.usage(
          "lora_weights %s: layer %s is of LoHa, LoKr or with a core, and training goes on from LoRA and DoRA alone: give another file, or put it into a model with dreambooth merge and train around that"
              .formatted(path, layer.name()));
    }
    if (layer.has(LoraFactor.MAGNITUDE) != dora) {
      throw Problem.usage(
          "lora_weights %s has layers with a magnitude and layers without: give another file"
              .formatted(path));
    }
    if (!trained.contains(layer.component())) {
      throw Problem.usage(
          "lora_weights %s changes the %s too: set train_text_encoder: true, or what it learnt there would be lost"
              .formatted(path, layer.component().folder()));
    }
  }

  /** How its adapters change their layers. */
  AdapterKind kind() {
    return kind;
  }

  /** Which layers of a component have an adapter. */
  Adapters.Sizes sizes(Component component) {
    Map<String, Adapters.Size> own = sizes.getOrDefault(component, Map.of());
    return (module, spatial) -> own.get(module);
  }

  /** Gives the model's adapters the file's numbers; its own alpha goes into the second matrix. */
  void readInto(StableDiffusion loaded) {
    try (LoraFile file = LoraFile.open(path, model)) {
      for (LoraLayer layer : file.layers()) {
        for (Group group : loaded.trained(layer.component())) {
          Map<String, Parameter> weights = group.parameters().byName();
          for (LoraFactor factor : List.of(LoraFactor.DOWN, LoraFactor.UP, LoraFactor.MAGNITUDE)) {
            Parameter weight = weights.get(layer.name() + "." + factor.label());
            if (weight != null) {
              layer.readInto(weight, factor);
            }
            if (weight != null && factor == LoraFactor.UP) {
              int rank = (int) layer.rank().orElseThrow();
              weight.multiply(
                  layer.scale() / new Adapters.Size(rank, config.alphaOf(rank)).scale());
            }
          }
          group.parameters().copyMasters();
        }
      }
    }
  }
}
