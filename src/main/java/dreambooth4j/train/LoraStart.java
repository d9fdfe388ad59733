package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.config.LoraConfig;
import dreambooth4j.engine.Parameter;
import dreambooth4j.model.AdapterKind;
import dreambooth4j.model.AdapterSize;
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
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The adapters of a LoRA file that training goes on from, whatever its naming: which layers have
 * one, and of what size and kind, is the file's to say.
 */
final class LoraStart {
  /** Of each kind the factor that takes up another alpha than the file's. */
  private static final Set<LoraFactor> SCALED =
      EnumSet.of(LoraFactor.UP, LoraFactor.HADA_W2_A, LoraFactor.LOKR_W2_A);

  private final Path path;
  private final ModelLayers model;
  private final LoraConfig config;
  private final AdapterKind kind;
  private final Map<Component, Map<String, AdapterSize>> sizes = new EnumMap<>(Component.class);

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
      kind = kind(layers.get(0));
      requireWritable();
      for (LoraLayer each : layers) {
        require(each, trained);
        sizes
            .computeIfAbsent(each.component(), component -> new LinkedHashMap<>())
            .put(each.name(), size(each));
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

  /** What a layer's factors are trained as. */
  private AdapterKind kind(LoraLayer layer) {
    boolean magnitude = layer.has(LoraFactor.MAGNITUDE);
    if (layer.has(LoraFactor.UP) && !layer.has(LoraFactor.MID)) {
      return magnitude ? AdapterKind.DORA : AdapterKind.LORA;
    }
    boolean core = layer.has(LoraFactor.HADA_T1) || layer.has(LoraFactor.LOKR_T2);
    if (layer.has(LoraFactor.HADA_W1_A) && !core && !magnitude) {
      return AdapterKind.LOHA;
    }
    if (layer.has(LoraFactor.LOKR_W1) && !core && !magnitude) {
      return AdapterKind.LOKR;
    }
    throw untrained(
        layer, "with a core, with LoKr's first matrix as a product, or with magnitudes");
  }

  private Problem untrained(LoraLayer layer, String what) {
    return Problem.usage(
        "lora_weights %s: layer %s is %s, which is not trained here: give another file, or put it into a model with dreambooth merge and train around that"
            .formatted(path, layer.name(), what));
  }

  /** Before hours of training, not after them. */
  private void requireWritable() {
    boolean lycoris = kind == AdapterKind.LOHA || kind == AdapterKind.LOKR;
    if (lycoris && config.files() != LoraConfig.Files.KOHYA) {
      throw Problem.usage(
          "lora_files: %s: lora_weights %s is of LoHa or LoKr, which diffusers does not load: set lora_files: kohya"
              .formatted(config.files(), path));
    }
  }

  /** The size by which an adapter has the factors of the file. */
  private AdapterSize size(LoraLayer layer) {
    if (kind != AdapterKind.LOKR) {
      int rank = (int) layer.rank().orElseThrow();
      return new AdapterSize(rank, config.alphaOf(rank));
    }
    List<Long> weight = model.of(layer.component()).getOrDefault(layer.name(), List.of());
    int rank = (int) layer.rank().orElse(0);
    AdapterSize size =
        AdapterSize.ofLokr(rank, config.alphaOf(rank), weight, layer.shape(LoraFactor.LOKR_W1));
    if (size == null) {
      throw untrained(layer, "of LoKr split otherwise than by one lora_factor");
    }
    return size;
  }

  private void require(LoraLayer layer, List<Component> trained) {
    if (kind(layer) != kind) {
      throw Problem.usage(
          "lora_weights %s has layers of several kinds, such as some with a magnitude and some without: give another file"
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
    Map<String, AdapterSize> own = sizes.getOrDefault(component, Map.of());
    return (module, spatial) -> own.get(module);
  }

  /** Gives the model's adapters the file's numbers; its own alpha goes into one factor. */
  void readInto(StableDiffusion loaded) {
    try (LoraFile file = LoraFile.open(path, model)) {
      for (LoraLayer layer : file.layers()) {
        for (Group group : loaded.trained(layer.component())) {
          Map<String, Parameter> weights = group.parameters().byName();
          for (LoraFactor factor : LoraFactor.values()) {
            Parameter weight = weights.get(layer.name() + "." + factor.label());
            if (weight != null) {
              layer.readInto(weight, factor);
            }
            if (weight != null && SCALED.contains(factor)) {
              weight.multiply(layer.scale() / size(layer).scale());
            }
          }
          group.parameters().copyMasters();
        }
      }
    }
  }
}
