package dreambooth4j.data;

import dreambooth4j.Problem;
import dreambooth4j.config.Crop;
import java.nio.file.Path;
import java.util.List;

/**
 * Where one picture is cropped, other than its concept's: {@code 01.crop} beside {@code 01.jpg}
 * holds what the key {@code crop} takes.
 */
final class CropFile {
  /** Of the file's name, without its dot. */
  static final String EXTENSION = "crop";

  private CropFile() {}

  /**
   * The picture's own crop, or {@code otherwise} where it has none.
   *
   * @throws Problem if its file cannot be read or holds something else
   */
  static Crop of(Path picture, Crop otherwise) {
    Path file = Companion.of(picture, List.of("." + EXTENSION));
    if (file == null) {
      return otherwise;
    }
    String text = Companion.read(file);
    try {
      return Crop.parse(text);
    } catch (IllegalArgumentException e) {
      String found = text.substring(0, Math.min(text.length(), 40));
      throw new Problem(
          Problem.Kind.DATA,
          "%s: found '%s', allowed is %s".formatted(file, found, Crop.ALLOWED),
          e);
    }
  }
}
