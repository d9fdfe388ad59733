package dreambooth4j.weights;

import dreambooth4j.Problem;
import dreambooth4j.RegularFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Where Hugging Face's tools keep what they have downloaded. Nothing is downloaded here. */
final class HubCache {
  /** The name of a revision has forty letters. */
  private static final int MOST_BYTES = 1000;

  private final Path hub;

  /** The cache that these environment variables point to, as for {@code huggingface_hub}. */
  HubCache(Map<String, String> environment) {
    String hubCache = environment.get("HF_HUB_CACHE");
    String home = environment.get("HF_HOME");
    String xdg = environment.get("XDG_CACHE_HOME");
    if (hubCache != null) {
      hub = Path.of(hubCache);
    } else if (home != null) {
      hub = Path.of(home, "hub");
    } else if (xdg != null) {
      hub = Path.of(xdg, "huggingface", "hub");
    } else {
      hub = Path.of(System.getProperty("user.home"), ".cache", "huggingface", "hub");
    }
  }

  /** Where a model of this name would lie; null where it is no such name. */
  @Nullable Path folder(String name) {
    return name.matches("[\\w-][\\w.-]*(/[\\w-][\\w.-]*)?")
        ? hub.resolve("models--" + name.replace("/", "--"))
        : null;
  }

  /**
   * The newest snapshot of a model; null where there is none.
   *
   * @throws Problem when its reference cannot be read
   */
  @Nullable Path snapshot(String name) {
    Path folder = folder(name);
    if (folder == null) {
      return null;
    }
    Path main = folder.resolve("refs").resolve("main");
    if (!Files.isRegularFile(main)) {
      return null;
    }
    String revision = RegularFile.text(main, MOST_BYTES).strip();
    if (!revision.matches("\\w+")) {
      throw Problem.data(main + ": expected a revision, found " + revision);
    }
    Path snapshot = folder.resolve("snapshots").resolve(revision);
    return Files.isDirectory(snapshot) ? snapshot : null;
  }
}
