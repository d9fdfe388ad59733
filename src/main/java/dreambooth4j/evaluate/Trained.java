package dreambooth4j.evaluate;

import dreambooth4j.weights.LoraFile;
import dreambooth4j.weights.LoraUse;
import dreambooth4j.weights.MergedModel;
import dreambooth4j.weights.ModelOptions;
import dreambooth4j.weights.ModelSource;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** What a training left, found beside the model that it began with. */
public final class Trained {
  private Trained() {}

  /**
   * Finds a model that a training began with; what describes single files is left out for a folder.
   *
   * @throws dreambooth4j.Problem as {@link ModelSource#find}
   */
  public static ModelSource base(String name, ModelOptions options) {
    return ModelSource.find(name, isFolder(name) ? folder(options) : options);
  }

  /**
   * Opens what a training left: its LoRA in the base model, or a model of its own. A single file
   * that nothing describes is of the base model's sizes.
   *
   * @throws dreambooth4j.Problem as {@link ModelSource#find}, and if a LoRA is for another model
   */
  public static MergedModel open(ModelSource base, String name, ModelOptions options) {
    if (isFolder(name)) {
      return MergedModel.of(ModelSource.find(name, folder(options)), List.of());
    }
    Path file = Path.of(name);
    if (LoraFile.is(file)) {
      return MergedModel.of(base, List.of(new LoraUse(file, 1)));
    }
    boolean described = options.config() != null || !Files.isDirectory(base.path());
    ModelOptions own =
        described ? options : new ModelOptions(options.variant(), base.path(), options.prediction());
    return MergedModel.of(ModelSource.find(name, own), List.of());
  }

  private static boolean isFolder(String name) {
    return Files.isDirectory(Path.of(name));
  }

  private static ModelOptions folder(ModelOptions options) {
    return ModelOptions.variant(options.variant());
  }
}
