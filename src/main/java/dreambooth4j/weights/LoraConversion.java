package dreambooth4j.weights;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * A LoRA file written in another naming: the same numbers, one tensor at a time in memory. Whatever
 * naming it has is read (see {@link LoraFile}), and the change that each layer's factors make stays
 * the same.
 */
public final class LoraConversion implements AutoCloseable {
  /** What a file says that is no longer so, or that only one naming has. */
  private static final List<String> LEFT_OUT =
      List.of("format", "lora_adapter_metadata", "sshs_legacy_hash");

  private final ModelSource base;
  private final ModelLayers layers;
  private final LoraFile file;

  private LoraConversion(ModelSource base, ModelLayers layers, LoraFile file) {
    this.base = base;
    this.layers = layers;
    this.file = file;
  }

  /**
   * Opens a LoRA that is for one of these models.
   *
   * @param models without weights, or with them
   * @param layersOf a model's layers
   * @throws Problem when it cannot be read or is for none of them
   */
  public static LoraConversion open(
      Path lora, List<ModelSource> models, Function<ModelSource, ModelLayers> layersOf) {
    List<ModelSource> ordered = new ArrayList<>(models);
    String said = said(lora);
    ordered.sort((a, b) -> Boolean.compare(isSaid(b, said), isSaid(a, said)));
    List<Problem> problems = new ArrayList<>();
    for (ModelSource each : ordered) {
      ModelLayers layers = layersOf.apply(each);
      try {
        return new LoraConversion(each, layers, LoraFile.open(lora, layers));
      } catch (Problem e) {
        problems.add(e);
      }
    }
    if (models.size() == 1) {
      throw problems.get(0);
    }
    throw Problem.data(
        "%s: it is a LoRA of none of the published models, %s. Give the model that it is for, as a diffusers folder, by --model_config. As one of %s it is refused so: %s"
            .formatted(
                lora,
                models.stream()
                    .map(each -> each.path().toString())
                    .collect(Collectors.joining(", ")),
                ordered.get(0).path(),
                problems.get(0).getMessage()));
  }

  /** For which model the file says that it is, by its architecture; often nothing. */
  private static String said(Path lora) {
    try (TensorSource tensors = TensorFiles.open(lora)) {
      String kind = tensors.metadata().getOrDefault("modelspec.architecture", "");
      return kind.isEmpty()
          ? tensors.metadata().getOrDefault("ss_base_model_version", "")
          : kind.replaceFirst("/.*", "");
    }
  }

  private static boolean isSaid(ModelSource model, String said) {
    BaseKind noise = BaseKind.of(model, false);
    BaseKind velocity = BaseKind.of(model, true);
    return List.of(noise.architecture(), noise.kohya(), velocity.architecture(), velocity.kohya())
        .contains(said);
  }

  /** What the file was read as, and what of it is written, in words. */
  public String summary() {
    return "%d layers of %s".formatted(file.layers().size(), base.path());
  }

  /**
   * Writes it, whole or not at all.
   *
   * @param type of the factors; null for what they are held in
   * @throws Problem when something is there, a factor has no name in this naming, or the file
   *     cannot be written
   */
  public void write(Path output, LoraNaming naming, @Nullable DType type) {
    LoraContents contents = new LoraContents();
    file.layers().forEach(each -> each.addTo(contents));
    String title = String.valueOf(output.getFileName()).replaceFirst("\\.safetensors$", "");
    Map<String, String> notes = new TreeMap<>(file.metadata());
    LEFT_OUT.forEach(notes::remove);
    LoraMetadata metadata = LoraMetadata.of(LoraCard.titled(title, notes), base);
    try (WholeOutput files = new WholeOutput(output);
        Arena arena = Arena.open("convert")) {
      SafetensorsWriter writer =
          naming.writer(
              contents, new LoraNames(layers), type == null ? file.type() : type, metadata, arena);
      files.add(output, writer.body(arena));
      files.commit();
    }
  }

  @Override
  public void close() {
    file.close();
  }
}
