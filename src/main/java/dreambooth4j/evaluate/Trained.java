package dreambooth4j.evaluate;

import dreambooth4j.pipeline.NewWords;
import dreambooth4j.weights.EmbeddingFile;
import dreambooth4j.weights.LoraFile;
import dreambooth4j.weights.LoraUse;
import dreambooth4j.weights.MergedModel;
import dreambooth4j.weights.ModelOptions;
import dreambooth4j.weights.ModelSource;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What a training left, found beside the model that it began with. */
public final class Trained implements AutoCloseable {
  private final ModelSource source;
  private final @Nullable MergedModel merged;

  private Trained(ModelSource source, @Nullable MergedModel merged) {
    this.source = source;
    this.merged = merged;
  }

  /**
   * Finds a model that a training began with; what describes single files is left out for a folder.
   *
   * @throws dreambooth4j.Problem as {@link ModelSource#find}
   */
  public static ModelSource base(String name, ModelOptions options) {
    return ModelSource.find(name, isFolder(name) ? folder(options) : options);
  }

  /**
   * Opens what a training left: its LoRA or its embedding with the base model, or a model of its
   * own. A single file that nothing describes is of the base model's sizes.
   *
   * @throws dreambooth4j.Problem as {@link ModelSource#find}, and if a LoRA or an embedding is for
   *     another model
   */
  public static Trained open(ModelSource base, String name, ModelOptions options) {
    if (isFolder(name)) {
      return new Trained(ModelSource.find(name, folder(options)), null);
    }
    Path file = Path.of(name);
    if (LoraFile.is(file)) {
      MergedModel merged = MergedModel.of(base, List.of(new LoraUse(file, 1)));
      return new Trained(merged, merged);
    }
    if (EmbeddingFile.is(file)) {
      Map<Path, @Nullable String> words = new HashMap<>();
      words.put(file, null);
      return new Trained(NewWords.of(base, words), null);
    }
    boolean described = options.config() != null || !Files.isDirectory(base.path());
    ModelOptions own =
        described
            ? options
            : new ModelOptions(options.variant(), base.path(), options.prediction());
    return new Trained(ModelSource.find(name, own), null);
  }

  /** The model, to be read until this is closed. */
  public ModelSource source() {
    return source;
  }

  private static boolean isFolder(String name) {
    return Files.isDirectory(Path.of(name));
  }

  private static ModelOptions folder(ModelOptions options) {
    return ModelOptions.variant(options.variant());
  }

  @Override
  public void close() {
    if (merged != null) {
      merged.close();
    }
  }
}
