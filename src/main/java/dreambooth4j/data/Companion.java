package dreambooth4j.data;

import dreambooth4j.Problem;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The small text file beside a picture that has its name and another extension. */
final class Companion {
  private static final long LONGEST_BYTES = 64 << 10;

  private Companion() {}

  /** The first of a picture's that is there; null if there is none. */
  static @Nullable Path of(Path picture, List<String> extensions) {
    for (String extension : extensions) {
      Path file = picture.resolveSibling(Caption.stem(picture) + extension);
      if (Files.isRegularFile(file)) {
        return file;
      }
    }
    return null;
  }

  /**
   * Its content, without white space at its ends; lines end as on Unix.
   *
   * @throws Problem if it cannot be read, is not UTF-8 or is far longer than what it is for
   */
  static String read(Path file) {
    try {
      if (Files.size(file) > LONGEST_BYTES) {
        throw Problem.data(
            "%s is %d KiB long: a text beside a picture has at most %d KiB"
                .formatted(file, Files.size(file) >> 10, LONGEST_BYTES >> 10));
      }
      ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(file));
      String text = StandardCharsets.UTF_8.newDecoder().decode(bytes).toString();
      text = text.startsWith("\uFEFF") ? text.substring(1) : text;
      return text.replaceAll("\r\n?", "\n").strip();
    } catch (CharacterCodingException e) {
      throw new Problem(Problem.Kind.DATA, file + " is not UTF-8 text: save it as UTF-8", e);
    } catch (IOException e) {
      throw new Problem(Problem.Kind.DATA, file + " cannot be read: " + Problem.why(e), e);
    }
  }
}
