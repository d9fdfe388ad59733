package dreambooth4j.pipeline;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.op.OpBackend;
import dreambooth4j.model.VisionConfig;
import dreambooth4j.model.VisionEncoder;
import dreambooth4j.model.VisionInput;
import dreambooth4j.weights.JsonFile;
import dreambooth4j.weights.Safetensors;
import dreambooth4j.weights.ShardedSafetensors;
import dreambooth4j.weights.TensorSource;
import dreambooth4j.weights.WeightLoader;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;

/**
 * A CLIP or DINOv2 model in a folder as transformers writes it. Its settings and the shapes of its
 * weights have been checked; nothing of it is in memory.
 */
public final class VisionFolder {
  private static final String CONFIG = "config.json";
  private static final String PREPROCESSOR = "preprocessor_config.json";
  private static final String WEIGHTS = "model.safetensors";
  private static final String INDEX = WEIGHTS + ".index.json";
  private static final String PICKLE = "pytorch_model.bin";

  private final Path folder;
  private final VisionConfig config;
  private final VisionInput input;

  private VisionFolder(Path folder, VisionConfig config, VisionInput input) {
    this.folder = folder;
    this.config = config;
    this.input = input;
  }

  /**
   * Checks a folder.
   *
   * @param folder with config.json, preprocessor_config.json, and model.safetensors or the index of
   *     several
   * @throws Problem where one of them is missing, of another model, or says what is not supported
   */
  public static VisionFolder open(Path folder) {
    if (!Files.isDirectory(folder)) {
      throw Problem.data(
          "%s: expected the folder of a CLIP or DINOv2 model, found %s. %s"
              .formatted(folder, Files.exists(folder) ? "a file" : "nothing", download()));
    }
    Path settings = folder.resolve(CONFIG);
    VisionConfig config = VisionConfig.of(JsonFile.read(settings), settings.toString());
    Path preprocessor = folder.resolve(PREPROCESSOR);
    VisionInput input =
        VisionInput.of(JsonFile.read(preprocessor), preprocessor.toString(), config);
    Parameters parameters = new Parameters(DType.F32);
    new VisionEncoder(config, parameters);
    try (TensorSource source = weights(folder)) {
      WeightLoader.requireAmong(
          source,
          parameters,
          "Save the model with transformers as CLIPModel, CLIPVisionModelWithProjection or"
              + " Dinov2Model, or download it again.");
    }
    return new VisionFolder(folder, config, input);
  }

  private static String download() {
    return "This downloads one: hf download facebook/dinov2-base %s %s %s --local-dir FOLDER"
        .formatted(CONFIG, PREPROCESSOR, WEIGHTS);
  }

  private static TensorSource weights(Path folder) {
    Path whole = folder.resolve(WEIGHTS);
    if (Files.exists(whole, LinkOption.NOFOLLOW_LINKS)) {
      return Safetensors.open(whole);
    }
    Path index = folder.resolve(INDEX);
    if (Files.exists(index, LinkOption.NOFOLLOW_LINKS)) {
      return ShardedSafetensors.open(index);
    }
    boolean pickled =
        Files.exists(folder.resolve(PICKLE))
            || Files.exists(folder.resolve(PICKLE + ".index.json"));
    throw Problem.data(
        pickled
            ? "%s: expected %s, found only a pickle (%s), which is not read. Download %s if the model has one, perhaps in another revision (hf download MODEL --revision REVISION), or write it with transformers: AutoModel.from_pretrained(FOLDER).save_pretrained(FOLDER, safe_serialization=True)"
                .formatted(folder, WEIGHTS, PICKLE, WEIGHTS)
            : "%s: expected %s, found none. %s".formatted(folder, WEIGHTS, download()));
  }

  /**
   * Loads the model, in F32.
   *
   * @param arena of its weights; nothing is read in a dry one
   * @throws Problem when the weights cannot be read any more
   */
  public PictureFeatures load(Arena arena) {
    Parameters parameters = new Parameters(DType.F32);
    VisionEncoder encoder = new VisionEncoder(config, parameters);
    parameters.allocate(arena, false);
    if (!arena.isDry()) {
      try (TensorSource source = weights(folder)) {
        for (Parameter each : parameters.all()) {
          source.readInto(each, each.name());
        }
      }
    }
    return new PictureFeatures(arena, encoder, input);
  }

  /** The bytes that the model and one picture take at their peak. */
  public long memory(Device device) {
    try (Arena dry = Arena.open("features", OpBackend.dry(device))) {
      PictureFeatures model = load(dry);
      return dry.meter().peakOf(model::look);
    }
  }
}
