package dreambooth4j.weights;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A Stable Diffusion model in one file under the names that it was published with: a checkpoint as
 * ComfyUI, A1111 and most sites have them, safetensors or a pickle of torch.
 */
final class SingleFile implements ModelSource {
  private final Path path;
  private final Family family;
  private final FamilyConfigs configs;
  private final Map<Component, List<NameTable.Entry>> entries;
  private final List<String> notes = new ArrayList<>();
  private final Map<Component, String> fingerprints = new EnumMap<>(Component.class);

  private SingleFile(Path path, OriginalNames names, FamilyConfigs configs) {
    this.path = path;
    this.family = names.family();
    this.configs = configs;
    this.entries = names.entries();
  }

  /**
   * Opens a file and finds out what it holds.
   *
   * @throws Problem when it is damaged, no Stable Diffusion model, or of a kind that is not trained
   *     here
   */
  static SingleFile open(Path path, ModelOptions options) {
    try (TensorSource tensors = TensorFiles.open(path)) {
      Family family = OriginalNames.family(tensors);
      FamilyConfigs configs;
      if (options.config() == null) {
        OriginalNames.requirePublishedSizes(tensors, family);
        configs = FamilyConfigs.published(family, path);
      } else {
        configs = FamilyConfigs.of(ModelFolder.open(options.config(), null), family, path);
      }
      SaidPrediction prediction = SaidPrediction.of(tensors, family, options);
      boolean published = options.config() == null;
      if (prediction.isKnown() || published) {
        configs.predict(prediction.value());
      }
      if (configs.prediction().equals(SaidPrediction.VELOCITY)
          && tensors.tensors().containsKey(SaidPrediction.ZERO_TERMINAL_MARK)) {
        configs.endInNoise();
      }
      if (published && family == Family.SD2 && prediction.value().equals(SaidPrediction.NOISE)) {
        configs.drawAt(SaidPrediction.SIDE_OF_NOISE);
      }
      OriginalNames names = OriginalNames.of(tensors, family, configs);
      SingleFile file = new SingleFile(path, names, configs);
      file.notes.add(
          "%s is read as %s, whose UNet predicts %s (%s)"
              .formatted(
                  path,
                  family.title(),
                  configs.prediction(),
                  prediction.isKnown() || published
                      ? prediction.reason()
                      : "as model_config says"));
      if (!names.passedOver().isEmpty()) {
        file.notes.add(
            "%s: passed over, for no model here needs them: %s"
                .formatted(path, names.passedOver()));
      }
      return file;
    }
  }

  @Override
  public Path path() {
    return path;
  }

  @Override
  public Pipeline pipeline() {
    return family.pipeline();
  }

  @Override
  public boolean hasZeroNegative() {
    return pipeline() == Pipeline.STABLE_DIFFUSION_XL
        && configs.index().path("force_zeros_for_empty_prompt").asBoolean(true);
  }

  @Override
  public List<String> notes() {
    return List.copyOf(notes);
  }

  @Override
  public ComponentFiles files(Component component) {
    return configs.files(component);
  }

  @Override
  public boolean hasWeights(Component component) {
    return entries.containsKey(component);
  }

  @Override
  public TensorSource weights(Component component) {
    List<NameTable.Entry> own = entries.get(component);
    if (own == null) {
      throw Problem.data(
          "%s: expected a whole model, found no tensor of its %s: get the file that has all parts"
              .formatted(path, component.folder()));
    }
    TensorSource tensors = TensorFiles.open(path);
    try {
      return new DiffusersTensors(tensors, own);
    } catch (RuntimeException e) {
      tensors.close();
      throw e;
    }
  }

  @Override
  public synchronized String fingerprint(Component component) {
    return fingerprints.computeIfAbsent(component, each -> Fingerprint.of(this, each));
  }

  /** The bytes of a component's file. */
  static byte[] content(ComponentFiles files, String name) {
    return name.endsWith(".json")
        ? json(files.json(name))
        : (String.join("\n", files.lines(name)) + "\n").getBytes(StandardCharsets.UTF_8);
  }

  /** JSON as it is written to a file. */
  static byte[] json(ObjectNode content) {
    try {
      return new ObjectMapper().writerWithDefaultPrettyPrinter().writeValueAsBytes(content);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("what was read as JSON can be written as JSON", e);
    }
  }

  @Override
  public void copyTo(NewFiles files, Path output, Set<Component> trained) {
    for (Component component : Component.values()) {
      Path folder = output.resolve(component.folder());
      for (String name : component.files()) {
        if (files(component).has(name)) {
          byte[] content = content(files(component), name);
          files.add(folder.resolve(name), StagedFiles.Body.of(content));
        }
      }
      if (hasWeights(component) && !trained.contains(component)) {
        try (TensorSource weights = weights(component);
            Arena arena = Arena.open("copy")) {
          SafetensorsWriter writer = new SafetensorsWriter().add(weights, null);
          ModelWriter.notes(weights).forEach(writer::metadata);
          files.add(folder.resolve(component.weightsFile(null)), writer.body(arena));
        }
      }
    }
    files.add(output.resolve(ModelFolder.INDEX), StagedFiles.Body.of(json(configs.index())));
  }
}
