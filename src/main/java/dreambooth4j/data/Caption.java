package dreambooth4j.data;

import dreambooth4j.Problem;
import dreambooth4j.config.CaptionConfig;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * A picture's caption and where it comes from: the text file beside it, else its folder's name in
 * kohya's layout, else its own name.
 *
 * @param texts the caption; several only where each line is one
 * @param written whether somebody wrote it for the picture or its folder, rather than it being the
 *     name of a file
 * @param repeats how often its folder says that it comes in an epoch
 */
public record Caption(List<String> texts, boolean written, int repeats) {
  private static final Pattern NUMBERS_AT_START = Pattern.compile("^[-\\d\\s]+");
  private static final long LONGEST_BYTES = 64 << 10;

  /**
   * Finds the caption of a picture. Names of files lose the digits, dashes and blanks they begin
   * with.
   *
   * @param root the folder that was given
   * @throws Problem if the text file cannot be read, is not UTF-8 or is no caption by its size
   */
  public static Caption of(Path root, Path picture, CaptionConfig how) {
    KohyaFolder folder = KohyaFolder.of(root, picture);
    int repeats = folder == null ? 1 : folder.repeats();
    Path file = file(picture, how.extensions());
    if (file != null) {
      return new Caption(split(read(file), how.lines()), true, repeats);
    }
    return folder == null
        ? new Caption(List.of(fromName(picture)), false, repeats)
        : new Caption(List.of(folder.caption()), true, repeats);
  }

  /**
   * A picture's caption as somebody wrote it, for somebody to edit: of a text file, every line.
   *
   * @throws Problem as {@link #of}
   */
  public static String source(Path root, Path picture, CaptionConfig how) {
    Path file = file(picture, how.extensions());
    return file == null ? of(root, picture, how).text() : read(file);
  }

  /** The text file that holds a picture's caption or, if none does, would hold it. */
  public static Path place(Path picture, CaptionConfig how) {
    Path file = file(picture, how.extensions());
    return file == null ? picture.resolveSibling(stem(picture) + how.extensions().get(0)) : file;
  }

  /** The caption as one text, its lines joined. */
  public String text() {
    return String.join("\n", texts);
  }

  /** The text file beside a picture; null if there is none. */
  private static @Nullable Path file(Path picture, List<String> extensions) {
    for (String extension : extensions) {
      Path file = picture.resolveSibling(stem(picture) + extension);
      if (Files.isRegularFile(file)) {
        return file;
      }
    }
    return null;
  }

  private static List<String> split(String text, CaptionConfig.Lines lines) {
    List<String> all = text.lines().map(String::strip).filter(line -> !line.isEmpty()).toList();
    if (lines == CaptionConfig.Lines.JOINED || all.isEmpty()) {
      return List.of(text);
    }
    return lines == CaptionConfig.Lines.FIRST
        ? List.of(all.get(0))
        : all.stream().distinct().toList();
  }

  /** The content of a caption file, without white space at its ends. */
  private static String read(Path file) {
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
    String name = String.valueOf(file.getFileName());
    int dot = name.lastIndexOf('.');
    return dot < 0 ? name : name.substring(0, dot);
  }
}
