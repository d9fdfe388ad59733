package dreambooth4j.data;

import dreambooth4j.RegularFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The small text file beside a picture that has its name and another extension. */
final class Companion {
  private static final int LONGEST_BYTES = 64 << 10;

  private Companion() {}

  /** The first of a picture's that is there; null if there is none. */
  static @Nullable Path of(Path picture, List<String> extensions) {
    for (String extension : extensions) {
      Path file = picture.resolveSibling(stem(picture) + extension);
      if (Files.isRegularFile(file)) {
        return file;
      }
    }
    return null;
  }

  /**
   * Its content, without white space at its ends; lines end as on Unix.
   *
   * @throws dreambooth4j.Problem if it cannot be read, is not UTF-8 or is far longer than what it
   *     is for
   */
  static String read(Path file) {
    String text = RegularFile.text(file, LONGEST_BYTES);
    text = text.startsWith("\uFEFF") ? text.substring(1) : text;
    return text.replaceAll("\r\n?", "\n").strip();
  }

  /** A file's name without its extension. */
  static String stem(Path file) {
    String name = String.valueOf(file.getFileName());
    int dot = name.lastIndexOf('.');
    return dot < 0 ? name : name.substring(0, dot);
  }
}
