package dreambooth4j.data;

/**
 * A picture in memory: interleaved RGB, one byte each, row by row from the top left; 0 is black,
 * 255 full. Arrays are not copied on their way in or out.
 */
public final class Pixels {
  /** Bytes a pixel. */
  public static final int CHANNELS = 3;

  private final int width;
  private final int height;
  private final byte[] rgb;

  /** Wraps rgb, [height, width, 3]. */
  public Pixels(int width, int height, byte[] rgb) {
    if (rgb.length != width * height * CHANNELS) {
      throw new IllegalArgumentException(
          "%d bytes for %dx%d pixels".formatted(rgb.length, width, height));
    }
    this.width = width;
    this.height = height;
    this.rgb = rgb;
  }

  /** Pixels a row. */
  public int width() {
    return width;
  }

  /** Rows. */
  public int height() {
    return height;
  }

  /** The bytes, [height, width, 3]. */
  public byte[] rgb() {
    return rgb;
  }

  /** The values as the VAE takes them, from -1 (black) to 1: [height, width, 3]. */
  public float[] toFloats() {
    float[] values = new float[rgb.length];
    for (int i = 0; i < rgb.length; i++) {
      values[i] = (rgb[i] & 0xFF) / 127.5f - 1;
    }
    return values;
  }

  /** The picture this many times as wide and as high, each pixel a square. */
  public Pixels enlarged(int factor) {
    byte[] large = new byte[Math.multiplyExact(rgb.length, factor * factor)];
    int wide = width * factor;
    for (int y = 0; y < height * factor; y++) {
      for (int x = 0; x < wide; x++) {
        int from = (y / factor * width + x / factor) * CHANNELS;
        System.arraycopy(rgb, from, large, (y * wide + x) * CHANNELS, CHANNELS);
      }
    }
    return new Pixels(wide, height * factor, large);
  }

  /** The mirror image, left and right exchanged. */
  public Pixels hflip() {
    return upright(2);
  }

  /** Turns and mirrors the picture so that it stands as its EXIF orientation (1 to 8) means. */
  Pixels upright(int orientation) {
    if (orientation == 1) {
      return this;
    }
    boolean turned = orientation >= 5;
    int w = turned ? height : width;
    int h = turned ? width : height;
    byte[] upright = new byte[rgb.length];
    int to = 0;
    for (int y = 0; y < h; y++) {
      for (int x = 0; x < w; x++, to += CHANNELS) {
        int fromX =
            switch (orientation) {
              case 2, 3 -> width - 1 - x;
              case 4 -> x;
              case 5, 6 -> y;
              default -> width - 1 - y;
            };
        int fromY =
            switch (orientation) {
              case 2 -> y;
              case 3, 4 -> height - 1 - y;
              case 5, 8 -> x;
              default -> height - 1 - x;
            };
        System.arraycopy(rgb, (fromY * width + fromX) * CHANNELS, upright, to, CHANNELS);
      }
    }
    return new Pixels(w, h, upright);
  }

  /** The window of this size at (left, top). */
  public Pixels crop(int left, int top, int w, int h) {
    if (w == width && h == height) {
      return this;
    }
    byte[] window = new byte[w * h * CHANNELS];
    for (int y = 0; y < h; y++) {
      int from = ((top + y) * width + left) * CHANNELS;
      System.arraycopy(rgb, from, window, y * w * CHANNELS, w * CHANNELS);
    }
    return new Pixels(w, h, window);
  }
}
