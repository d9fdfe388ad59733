package dreambooth4j.review;

import dreambooth4j.Problem;
import dreambooth4j.RegularFile;
import dreambooth4j.data.Prompts;
import dreambooth4j.weights.StagedFiles;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** The text file of a picture's caption, and what it held before it was written. */
final class CaptionFile {
  /** Longest caption that somebody may write here, in characters. */
  static final int LONGEST = 4000;

  /** More is no caption, and is not held in memory until it may be restored. */
  private static final int MOST_BYTES = 1 << 20;

  private final Path file;
  private final byte @Nullable [] before;

  private CaptionFile(Path file, byte @Nullable [] before) {
    this.file = file;
    this.before = before;
  }

  /** A file that may be there or not. */
  static CaptionFile of(Path file) {
    return new CaptionFile(file, read(file));
  }

  private static byte @Nullable [] read(Path file) {
    return Files.exists(file) ? RegularFile.bytes(file, MOST_BYTES) : null;
  }

  /**
   * What somebody typed, as it is written: without blanks at its ends.
   *
   * @throws Problem if it is no caption
   */
  static String checked(String typed) {
    String text = typed.replace("\r\n", "\n").strip();
    if (Prompts.dropEmptyTags(text).isEmpty()) {
      throw Problem.data("a caption must not be empty");
    }
    if (text.length() > LONGEST) {
      throw Problem.data(
          "a caption has at most %d characters, this one %d".formatted(LONGEST, text.length()));
    }
    if (text.chars().anyMatch(c -> Character.isISOControl(c) && c != '\n' && c != '\t')) {
      throw Problem.data("a caption holds text, not control characters");
    }
    if (!StandardCharsets.UTF_8.newEncoder().canEncode(text)) {
      throw Problem.data(
          "a caption holds half of a character (a lone surrogate), which no file can hold: type it anew");
    }
    return text;
  }

  /** Writes it, whole or not at all. */
  void write(String text) {
    StagedFiles.write(file, text.getBytes(StandardCharsets.UTF_8));
  }

  /** Whether it holds what {@link #write} wrote, and nobody wrote something else since. */
  boolean holds(String text) {
    return Arrays.equals(read(file), text.getBytes(StandardCharsets.UTF_8));
  }

  /** Makes it as it was before. */
  void restore() {
    if (before != null) {
      StagedFiles.write(file, before);
      return;
    }
    try {
      Files.deleteIfExists(file);
    } catch (IOException e) {
      throw new Problem(
          Problem.Kind.FAILED, "%s cannot be deleted: %s".formatted(file, Problem.why(e)), e);
    }
  }
}
