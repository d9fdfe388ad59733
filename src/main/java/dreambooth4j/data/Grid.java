package dreambooth4j.data;

import java.util.Arrays;
import java.util.List;

/** Pictures side by side on one sheet. */
public final class Grid {
  private Grid() {}

  /**
   * The pictures row by row, as nearly square as can be and rather wide than tall, without gaps;
   * places left over are white.
   *
   * @param pictures at least one, all of one size
   */
  public static Pixels of(List<Pixels> pictures) {
    return of(pictures, (int) Math.ceil(Math.sqrt(pictures.size())));
  }

  /** As {@link #of(List)}, with so many pictures a row. */
  public static Pixels of(List<Pixels> pictures, int columns) {
    int width = pictures.get(0).width();
    int height = pictures.get(0).height();
    int rows = (pictures.size() + columns - 1) / columns;
    int rowBytes = columns * width * Pixels.CHANNELS;
    byte[] sheet = new byte[Math.multiplyExact(Math.multiplyExact(rows, height), rowBytes)];
    Arrays.fill(sheet, (byte) 255);
    for (int i = 0; i < pictures.size(); i++) {
      Pixels each = pictures.get(i);
      if (each.width() != width || each.height() != height) {
        throw new IllegalArgumentException("pictures of different sizes on one grid");
      }
      int left = i % columns * width * Pixels.CHANNELS;
      for (int y = 0; y < height; y++) {
        System.arraycopy(
            each.rgb(),
            y * width * Pixels.CHANNELS,
            sheet,
            (i / columns * height + y) * rowBytes + left,
            width * Pixels.CHANNELS);
      }
    }
    return new Pixels(columns * width, rows * height, sheet);
  }
}
