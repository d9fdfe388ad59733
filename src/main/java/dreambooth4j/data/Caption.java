package dreambooth4j.data;

import dreambooth4j.Problem;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Pattern;

/** Where a picture's caption comes from: the text file beside it, else its own name. */
public final class Caption {
  private static final Pattern NUMBERS_AT_START = Pattern.compile("^[-\\d\\s]+");
  private static final Pattern EXTENSION = Pattern.compile("\\.[^.]*$");
  private static final long LONGEST_BYTES = 64 << 10;

  private Caption() {}

  /**
   * The caption of a picture: the content of the {@code .txt} of the same name, else the file name
   * without extension and without the digits, dashes and blanks it begins with.
   *
   * @throws Problem if the text file cannot be read, is not UTF-8 or is no caption by its size
   */
  public static String of(Path picture) {
    Path sidecar = sidecar(picture);
    return Files.isRegularFile(sidecar) ? read(sidecar) : fromName(picture);
  }

  /** The text file that holds a picture's caption, whether or not it exists. */
  public static Path sidecar(Path picture) {
    return picture.resolveSibling(stem(picture) + ".txt");
  }

  /** The content of a caption file, without white space at its ends. */
  static String read(Path file) {
    try {
      if (Files.size(file) > LONGEST_BYTES) {
        throw Problem.data(
            "%s is %d KiB long: a caption file holds one caption of at most %d KiB"
                .formatted(file, Files.size(file) >> 10, LONGEST_BYTES >> 10));
      }
      ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(file));
      String text = StandardCharsets.UTF_8.newDecoder().decode(bytes).toString();
      return (text.startsWith("\uFEFF") ? text.substring(1) : text).strip();
    } catch (CharacterCodingException e) {
      throw new Problem(
          Problem.Kind.DATA, file + " is not UTF-8 text: save the caption as UTF-8", e);
    } catch (IOException e) {
      throw new Problem(Problem.Kind.DATA, file + " cannot be read: " + Problem.why(e), e);
    }
  }

  private static String fromName(Path picture) {
    return NUMBERS_AT_START.matcher(stem(picture)).replaceFirst("").strip();
  }

  /** A file's name without its extension. */
  static String stem(Path file) {
    return EXTENSION.matcher(String.valueOf(file.getFileName())).replaceFirst("");
  }
}
