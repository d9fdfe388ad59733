package dreambooth4j.weights;

import dreambooth4j.Problem;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Finds the model that a name or a path means. */
final class ModelLookup {
  private ModelLookup() {}

  /** As {@link ModelSource#find}; the environment says where Hugging Face's cache lies. */
  static ModelSource find(
      String nameOrPath, @Nullable String variant, Map<String, String> environment) {
    Path path = Path.of(nameOrPath);
    if (Files.isDirectory(path)) {
      return ModelFolder.open(path, variant);
    }
    if (Files.exists(path)) {
      throw Problem.data(
          ("%s: expected a diffusers folder, found a file. Single-file checkpoints are not read"
                  + " yet: convert it with diffusers,"
                  + " StableDiffusionPipeline.from_single_file(FILE).save_pretrained(FOLDER), and name"
                  + " the folder. %s")
              .formatted(path, ModelFolder.SEE));
    }
    HubCache cache = new HubCache(environment);
    Path snapshot = cache.snapshot(nameOrPath);
    if (snapshot != null) {
      return ModelFolder.open(snapshot, variant);
    }
    Path expected = cache.folder(nameOrPath);
    throw Problem.data(
        expected == null
            ? "%s: expected a model folder, found nothing. %s"
                .formatted(nameOrPath, ModelFolder.SEE)
            : "%s: expected a model folder, found none, nor %s in the Hugging Face cache. Get it with: hf download %s. %s"
                .formatted(nameOrPath, expected, nameOrPath, ModelFolder.SEE));
  }
}
