package dreambooth4j.data;

import dreambooth4j.Problem;
import java.nio.file.Path;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * What each place of an instance picture counts in the loss: the brightness of {@code 01.mask.png}
 * beside {@code 01.jpg}, white all and black nothing, or else the picture's own opacity. It is
 * scaled, cropped and mirrored as the picture is, and averaged to the places of the latents.
 */
public final class LossMask {
  private static final String MARK = ".mask";

  private LossMask() {}

  /**
   * Whether a picture file is a mask by its name, upper case or lower, so that it is no picture.
   */
  static boolean isMask(Path file) {
    return Companion.stem(file).toLowerCase(Locale.ROOT).endsWith(MARK);
  }

  /** The name, without extension, of the picture that a mask is of. */
  static String pictureOf(Path mask) {
    String stem = Companion.stem(mask);
    return stem.substring(0, stem.length() - MARK.length());
  }

  /**
   * The mask of a view as a grey picture of its size; null where there is none: all counts.
   *
   * @param mask the file, of any format that pictures have; null where the picture's own opacity
   *     says what counts
   * @throws Problem if the mask cannot be read, or has other proportions than the picture
   */
  public static @Nullable Pixels of(View view, @Nullable Path mask) {
    if (mask == null) {
      Pixels opacity = ImageReader.opacity(view.file(), view.bucket(), view.crop());
      return opacity == null || !view.mirrored() ? opacity : opacity.hflip();
    }
    requireFits(mask, view.file());
    return new View(mask, view.bucket(), view.crop(), view.mirrored()).read();
  }

  /** Whether a picture's own opacity is its mask. */
  static boolean isOpacityOf(Picture picture) {
    return ImageReader.opacity(picture.file(), picture.bucket(), picture.crop()) != null;
  }

  /**
   * Refuses a mask that its picture cannot have.
   *
   * @throws Problem as {@link #of}
   */
  static void requireFits(Path mask, Path file) {
    ImageSize own = ImageReader.size(mask);
    ImageSize picture = ImageReader.size(file);
    double stretched =
        (double) own.width() * picture.height() / ((double) own.height() * picture.width());
    if (Math.abs(stretched - 1) > 0.02) {
      throw Problem.data(
          "%s is %d x %d and its picture %d x %d: a mask has the proportions of its picture; paint it on a copy of the picture"
              .formatted(mask, own.width(), own.height(), picture.width(), picture.height()));
    }
  }

  /** The brightness of a grey picture, 0 to 1, averaged over squares of this side, row by row. */
  public static float[] averaged(Pixels mask, int side) {
    float[] values = new float[mask.width() * mask.height()];
    for (int i = 0; i < values.length; i++) {
      values[i] = (mask.rgb()[i * Pixels.CHANNELS] & 0xFF) / 255f;
    }
    return averaged(values, mask.width(), side);
  }

  /** Values of so many a row, averaged over squares of this side. */
  public static float[] averaged(float[] values, int width, int side) {
    int columns = width / side;
    int rows = values.length / width / side;
    float[] means = new float[rows * columns];
    for (int row = 0; row < rows; row++) {
      for (int column = 0; column < columns; column++) {
        double sum = 0;
        for (int y = 0; y < side; y++) {
          for (int x = 0; x < side; x++) {
            sum += values[(row * side + y) * width + column * side + x];
          }
        }
        means[row * columns + column] = (float) (sum / (side * side));
      }
    }
    return means;
  }

  /**
   * What places count by their mask; changes {@code mask}.
   *
   * @param unmasked the least
   * @param normalized whether all together count as they would without a mask
   */
  public static float[] weights(float[] mask, double unmasked, boolean normalized) {
    double sum = 0;
    for (int i = 0; i < mask.length; i++) {
      mask[i] = (float) Math.min(1, Math.max(unmasked, mask[i]));
      sum += mask[i];
    }
    if (normalized && sum > 0) {
      double mean = sum / mask.length;
      for (int i = 0; i < mask.length; i++) {
        mask[i] = (float) (mask[i] / mean);
      }
    }
    return mask;
  }
}
