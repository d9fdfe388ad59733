package dreambooth4j.data;

/**
 * What tells whether two pictures are nearly the same, whatever their sizes and formats: difference
 * hashes, which have a bit for each two neighbours in a grey miniature of 9 x 9 pixels, and the
 * mean colour, which they cannot see.
 *
 * @param across 64 bits: whether the right neighbour is brighter
 * @param down 64 bits: whether the neighbour below is brighter
 * @param red mean from 0 to 255, as are green and blue
 */
public record Likeness(long across, long down, int red, int green, int blue) {
  private static final int SIDE = 9;

  /** Bits in which copies that were scaled, compressed or cropped a little differ, at most. */
  private static final int MOST_BITS = 10;

  private static final int MOST_COLOUR = 16;

  /** Less is noise, and a plain background would be as much a rise as not. */
  private static final int LEAST_RISE = 2;

  /** Of a picture of any size. */
  public static Likeness of(Pixels picture) {
    byte[] rgb = Resample.LANCZOS.scale(picture, SIDE, SIDE).rgb();
    int[] sums = new int[Pixels.CHANNELS];
    for (int i = 0; i < rgb.length; i++) {
      sums[i % Pixels.CHANNELS] += rgb[i] & 0xFF;
    }
    long across = 0;
    long down = 0;
    for (int y = 0; y < SIDE - 1; y++) {
      for (int x = 0; x < SIDE - 1; x++) {
        int at = y * SIDE + x;
        int grey = grey(rgb, at);
        across = across << 1 | (grey(rgb, at + 1) - grey >= LEAST_RISE ? 1 : 0);
        down = down << 1 | (grey(rgb, at + SIDE) - grey >= LEAST_RISE ? 1 : 0);
      }
    }
    int count = SIDE * SIDE;
    return new Likeness(across, down, sums[0] / count, sums[1] / count, sums[2] / count);
  }

  /** Luma after Rec. 601, from 0 to 255. */
  private static int grey(byte[] rgb, int pixel) {
    int from = pixel * Pixels.CHANNELS;
    return (299 * (rgb[from] & 0xFF) + 587 * (rgb[from + 1] & 0xFF) + 114 * (rgb[from + 2] & 0xFF))
        / 1000;
  }

  /** Whether the two pictures are nearly the same. */
  public boolean isNear(Likeness other) {
    return Long.bitCount(across ^ other.across) + Long.bitCount(down ^ other.down) <= MOST_BITS
        && Math.abs(red - other.red) <= MOST_COLOUR
        && Math.abs(green - other.green) <= MOST_COLOUR
        && Math.abs(blue - other.blue) <= MOST_COLOUR;
  }
}
