package dreambooth4j.weights;

import dreambooth4j.Problem;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Finds the model that a name or a path means. */
final class ModelLookup {
  private static final int MOST_NAMED = 5;

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
    Path parent = path.getParent();
    if (parent != null && Files.isDirectory(parent)) {
      throw Problem.data(
          "%s: expected a model folder, found nothing of that name in %s%s. %s"
              .formatted(path, parent, modelsIn(parent), ModelFolder.SEE));
    }
    Path expected = cache.folder(nameOrPath);
    throw Problem.data(
        expected == null
            ? "%s: expected a model folder, found nothing. %s"
                .formatted(nameOrPath, ModelFolder.SEE)
            : "%s: expected a model folder, found none, nor %s in the Hugging Face cache. Get it with: hf download %s. %s"
                .formatted(nameOrPath, expected, nameOrPath, ModelFolder.SEE));
  }

  /** The models that lie beside one that does not, in words. */
  private static String modelsIn(Path folder) {
    try (Stream<Path> all = Files.list(folder)) {
      String names =
          all.filter(each -> Files.exists(each.resolve(ModelFolder.INDEX)))
              .map(each -> String.valueOf(each.getFileName()))
              .sorted()
              .limit(MOST_NAMED)
              .collect(Collectors.joining(", "));
      return names.isEmpty() ? "; no model lies there" : "; there are " + names;
    } catch (IOException e) {
      return ""; // it may not be listed
    }
  }
}
