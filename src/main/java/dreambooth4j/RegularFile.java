package dreambooth4j;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.jspecify.annotations.Nullable;

/**
 * Opens files that the user gave or that lie in folders of the user's. Nothing but regular files is
 * opened, symbolic links followed: to open a pipe waits until somebody writes to it, and {@code
 * /dev/zero} has no end.
 */
public final class RegularFile {
  private RegularFile() {}

  /** What is there instead of a regular file, in words for a message; null if one is there. */
  public static @Nullable String fault(Path file) {
    if (Files.isRegularFile(file)) {
      return null;
    }
    if (Files.isDirectory(file)) {
      return "is a folder, where a file is needed";
    }
    if (Files.exists(file)) {
      return "is a pipe, a device or a socket: only files are read";
    }
    if (Files.isSymbolicLink(file)) {
      return "is a link to %s, which is not there".formatted(target(file));
    }
    return "is not there";
  }

  private static String target(Path link) {
    try {
      return Files.readSymbolicLink(link).toString();
    } catch (IOException e) {
      return "something";
    }
  }

  /**
   * Refuses what is no regular file.
   *
   * @throws Problem of kind DATA that says what is there instead
   */
  public static void require(Path file) {
    String fault = fault(file);
    if (fault != null) {
      throw Problem.data(file + " " + fault);
    }
  }

  /**
   * Refuses a place for a file that something else has taken: a pipe, a device, a folder. A link to
   * nowhere is no hindrance.
   *
   * @throws Problem of kind FAILED
   */
  public static void requirePlace(Path target) {
    if (Files.exists(target) && !Files.isRegularFile(target)) {
      throw new Problem(
          Problem.Kind.FAILED,
          "%s: something that is no file is in the place of one that is to be written: move it away"
              .formatted(target));
    }
  }

  /**
   * Opens a file for reading.
   *
   * @throws Problem when it is no regular file
   */
  public static FileChannel channel(Path file) throws IOException {
    require(file);
    return FileChannel.open(file, StandardOpenOption.READ);
  }

  /**
   * Opens a file for reading from its beginning.
   *
   * @throws Problem when it is no regular file
   */
  public static InputStream stream(Path file) throws IOException {
    require(file);
    return Files.newInputStream(file);
  }

  /**
   * A small file's content, which the caller has a parser for.
   *
   * @param most bytes that such a file has at most
   * @throws Problem when it is no regular file, longer, or cannot be read
   */
  public static byte[] bytes(Path file, int most) {
    try (InputStream in = stream(file)) {
      byte[] bytes = in.readNBytes(most + 1);
      if (bytes.length > most) {
        throw Problem.data(
            "%s has more than %,d bytes: no file of its kind is that long".formatted(file, most));
      }
      return bytes;
    } catch (IOException e) {
      throw new Problem(Problem.Kind.DATA, file + " cannot be read: " + Problem.why(e), e);
    }
  }

  /** As {@link #bytes}, for parsers that take a stream. */
  public static InputStream content(Path file, int most) {
    return new ByteArrayInputStream(bytes(file, most));
  }

  /** As {@link #bytes}, as text; a file that is no UTF-8 is a problem too. */
  public static String text(Path file, int most) {
    try {
      ByteBuffer bytes = ByteBuffer.wrap(bytes(file, most));
      return StandardCharsets.UTF_8.newDecoder().decode(bytes).toString();
    } catch (CharacterCodingException e) {
      throw new Problem(Problem.Kind.DATA, file + " is not UTF-8 text: save it as UTF-8", e);
    }
  }
}
