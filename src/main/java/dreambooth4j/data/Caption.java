package dreambooth4j.data;

import dreambooth4j.config.CaptionConfig;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;

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

  /**
   * Finds the caption of a picture. Names of files lose the digits, dashes and blanks they begin
   * with; those that a camera gave are no captions, and the caption is empty then.
   *
   * @param root the folder that was given
   * @throws dreambooth4j.Problem if the text file cannot be read, is not UTF-8 or is no caption by
   *     its size
   */
  public static Caption of(Path root, Path picture, CaptionConfig how) {
    KohyaFolder folder = KohyaFolder.of(root, picture);
    int repeats = folder == null ? 1 : folder.repeats();
    Path file = Companion.of(picture, how.extensions());
    if (file != null) {
      return new Caption(split(Companion.read(file), how.lines()), true, repeats);
    }
    return folder == null
        ? new Caption(List.of(fromName(picture)), false, repeats)
        : new Caption(List.of(folder.caption()), true, repeats);
  }

  /**
   * A picture's caption as somebody wrote it, for somebody to edit: of a text file, every line.
   *
   * @throws dreambooth4j.Problem as {@link #of}
   */
  public static String source(Path root, Path picture, CaptionConfig how) {
    Path file = Companion.of(picture, how.extensions());
    return file == null ? of(root, picture, how).text() : Companion.read(file);
  }

  /** The text file that holds a picture's caption or, if none does, would hold it. */
  public static Path place(Path picture, CaptionConfig how) {
    Path file = Companion.of(picture, how.extensions());
    return file == null
        ? picture.resolveSibling(Companion.stem(picture) + how.extensions().get(0))
        : file;
  }

  /**
   * Whether nobody gave the picture a caption: there is no text file, and its name says nothing.
   */
  boolean isMissing() {
    return !written && text().isEmpty();
  }

  /** The caption as one text, its lines joined. */
  public String text() {
    return String.join("\n", texts);
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

  private static String fromName(Path picture) {
    String stem = Companion.stem(picture);
    return CameraName.is(stem) ? "" : NUMBERS_AT_START.matcher(stem).replaceFirst("").strip();
  }
}
