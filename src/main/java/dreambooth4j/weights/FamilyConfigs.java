package dreambooth4j.weights;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.Problem;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.function.UnaryOperator;

/**
 * What a single file does not hold of a model: its configurations, its tokenizer and its index. All
 * published models of a family have the same, which is bundled; of a model of other sizes they are
 * in a folder that the user names.
 */
final class FamilyConfigs {
  /** Whether the noise is rescaled so that nothing of a picture is left at the last timestep. */
  static final String ZERO_TERMINAL = "rescale_betas_zero_snr";

  private static final String PREDICTION = "prediction_type";

  private final String origin;
  private final ObjectNode index;
  private final Map<Component, ComponentFiles> files = new EnumMap<>(Component.class);

  private FamilyConfigs(String origin, ObjectNode index) {
    this.origin = origin;
    this.index = index;
  }

  /**
   * Those of the published models of a family.
   *
   * @param path the single file, in messages
   */
  static FamilyConfigs published(Family family, Path path) {
    ObjectNode all = resource(family);
    String origin = "%s, which %s is taken for".formatted(family.title(), path);
    FamilyConfigs configs = new FamilyConfigs(origin, all.withObjectProperty("model_index"));
    for (Component component : Component.values()) {
      if (!all.has(component.folder())) {
        continue;
      }
      ObjectNode config = all.withObjectProperty(component.folder());
      MadeFiles made = new MadeFiles(origin).add(component.configFile(), config);
      if (component == Component.TOKENIZER || component == Component.TOKENIZER_2) {
        List<String> merges = ClipVocabulary.merges();
        made.add("vocab.json", ClipVocabulary.tokens(merges)).add("merges.txt", merges);
      }
      configs.files.put(component, made);
    }
    return configs;
  }

  private static ObjectNode resource(Family family) {
    String name = family.name().toLowerCase(Locale.ROOT) + ".json";
    try (InputStream in =
        Objects.requireNonNull(FamilyConfigs.class.getResourceAsStream(name), name)) {
      return (ObjectNode) new ObjectMapper().readTree(in);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Those of a diffusers folder, which needs no weights.
   *
   * @throws Problem when it is of another family
   */
  static FamilyConfigs of(ModelFolder folder, Family family, Path path) {
    Family its = Family.of(folder);
    if (its != family) {
      throw Problem.data(
          "model_config %s is %s, but %s is %s"
              .formatted(folder.path(), its.title(), path, family.title()));
    }
    FamilyConfigs configs = new FamilyConfigs(folder.path().toString(), folder.index());
    for (Component component : Component.values()) {
      ComponentFiles there = folder.files(component);
      if (there.has(component.configFile())) {
        configs.files.put(component, there);
      }
    }
    return configs;
  }

  /** Has the UNet predict this: {@code epsilon} or {@code v_prediction}. */
  void predict(String prediction) {
    if (!prediction.equals(prediction())) {
      change(Component.SCHEDULER, config -> config.put(PREDICTION, prediction));
    }
  }

  /**
   * Has nothing of the picture left at the last timestep, where drawing begins then; by DDIM, where
   * the sampler that is named cannot.
   */
  void endInNoise() {
    change(
        Component.SCHEDULER,
        config -> {
          config.put(ZERO_TERMINAL, true).put("timestep_spacing", "trailing");
          if (config.path("_class_name").asText().equals("PNDMScheduler")) {
            config.put("_class_name", "DDIMScheduler");
            index.putArray("scheduler").add("diffusers").add("DDIMScheduler");
          }
          return config;
        });
  }

  /** Has the model draw as many latents a side, where nothing else is asked for. */
  void drawAt(int sampleSize) {
    change(Component.UNET, config -> config.put("sample_size", sampleSize));
  }

  private void change(Component component, UnaryOperator<ObjectNode> change) {
    String name = component.configFile();
    ObjectNode config = files(component).json(name);
    files.put(component, new MadeFiles(origin).add(name, change.apply(config)));
  }

  /** What the UNet predicts. */
  String prediction() {
    return files(Component.SCHEDULER)
        .json(Component.SCHEDULER.configFile())
        .path(PREDICTION)
        .asText("epsilon");
  }

  /** The content of {@code model_index.json}; a copy. */
  ObjectNode index() {
    return index.deepCopy();
  }

  /** A component's files; of one that is not there, none. */
  ComponentFiles files(Component component) {
    return files.getOrDefault(component, new MadeFiles(origin));
  }
}
