package dreambooth4j.weights;

import dreambooth4j.FolderEntries;
import dreambooth4j.Nearest;
import dreambooth4j.Problem;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/** Finds the model that a name or a path means. */
final class ModelLookup {
  private static final int MOST_NAMED = 5;

  private ModelLookup() {}

  /** As {@link ModelSource#find}; the environment says where Hugging Face's cache lies. */
  static ModelSource find(
      String nameOrPath, ModelOptions options, Map<String, String> environment) {
    Path path = Path.of(nameOrPath);
    if (Files.isDirectory(path)) {
      return folder(path, options);
    }
    if (Files.exists(path)) {
      return SingleFile.open(path, options);
    }
    HubCache cache = new HubCache(environment);
    Path snapshot = cache.snapshot(nameOrPath);
    if (snapshot != null) {
      return folder(snapshot, options);
    }
    Optional<Path> meant = Nearest.path(path);
    if (meant.isPresent()) {
      throw Problem.data(
          "%s: expected a model folder or file, found nothing of that name; did you mean %s? %s"
              .formatted(path, meant.get(), ModelFolder.SEE));
    }
    Path parent = path.getParent();
    if (parent != null && Files.isDirectory(parent)) {
      throw Problem.data(
          "%s: expected a model folder or file, found nothing of that name in %s%s. %s"
              .formatted(path, parent, modelsIn(parent), ModelFolder.SEE));
    }
    Path expected = cache.folder(nameOrPath);
    throw Problem.data(
        expected == null
            ? "%s: expected a model folder or file, found nothing. %s"
                .formatted(nameOrPath, ModelFolder.SEE)
            : "%s: expected a model folder or file, found none, nor %s in the Hugging Face cache. Get it with: hf download %s. %s"
                .formatted(nameOrPath, expected, nameOrPath, ModelFolder.SEE));
  }

  private static ModelSource folder(Path path, ModelOptions options) {
    String unused =
        options.config() != null
            ? "model_config"
            : options.prediction() != null ? "prediction_type" : "";
    if (!unused.isEmpty()) {
      throw Problem.usage(
          "%s is for a model in a single file, but %s is a folder, whose own files say it: leave %s out"
              .formatted(unused, path, unused));
    }
    return ModelFolder.open(path, options.variant());
  }

  private static boolean isSingle(Path file) {
    return file.toString().matches("(?i).*\\.(safetensors|ckpt)") && Files.isRegularFile(file);
  }

  /** The models that lie beside one that does not, in words. */
  private static String modelsIn(Path folder) {
    try {
      String names =
          FolderEntries.of(folder).stream()
              .filter(each -> Files.exists(each.resolve(ModelFolder.INDEX)) || isSingle(each))
              .map(each -> String.valueOf(each.getFileName()))
              .limit(MOST_NAMED)
              .collect(Collectors.joining(", "));
      return names.isEmpty() ? "; no model lies there" : "; there are " + names;
    } catch (IOException e) {
      return ""; // it may not be listed
    }
  }
}
