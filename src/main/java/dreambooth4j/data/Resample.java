package dreambooth4j.data;

/**
 * Scales pictures with a filter that is widened when it scales down, so that nothing aliases. The
 * same arithmetic as Pillow's, which other trainers and transformers use, so that the pixels are
 * the same too; the library at hand (TwelveMonkeys' ResampleOp) shifts a picture by up to half a
 * pixel.
 */
public enum Resample {
  /** Of three lobes: Pillow's {@code LANCZOS}. */
  LANCZOS(3),
  /** Keys' with a = −0.5: Pillow's {@code BICUBIC}. */
  BICUBIC(2);

  private static final int PRECISION_BITS = 22;

  /** For each output sample: its first input sample, and the weights from there on. */
  private static final class Weights {
    final int[] first;
    final int[][] weights;

    Weights(int count) {
      first = new int[count];
      weights = new int[count][];
    }
  }

  private final int lobes;

  Resample(int lobes) {
    this.lobes = lobes;
  }

  /** The picture scaled to width x height pixels; the picture itself if it has that size. */
  public Pixels scale(Pixels image, int width, int height) {
    return vertically(horizontally(image, width), height);
  }

  private Pixels horizontally(Pixels image, int width) {
    if (width == image.width()) {
      return image;
    }
    Weights filter = weights(image.width(), width);
    byte[] in = image.rgb();
    byte[] out = new byte[width * image.height() * Pixels.CHANNELS];
    int to = 0;
    for (int y = 0; y < image.height(); y++) {
      int row = y * image.width() * Pixels.CHANNELS;
      for (int x = 0; x < width; x++) {
        int from = row + filter.first[x] * Pixels.CHANNELS;
        for (int c = 0; c < Pixels.CHANNELS; c++) {
          out[to++] = sum(in, from + c, Pixels.CHANNELS, filter.weights[x]);
        }
      }
    }
    return new Pixels(width, image.height(), out);
  }

  private Pixels vertically(Pixels image, int height) {
    if (height == image.height()) {
      return image;
    }
    Weights filter = weights(image.height(), height);
    int row = image.width() * Pixels.CHANNELS;
    byte[] out = new byte[row * height];
    int to = 0;
    for (int y = 0; y < height; y++) {
      int from = filter.first[y] * row;
      for (int i = 0; i < row; i++) {
        out[to++] = sum(image.rgb(), from + i, row, filter.weights[y]);
      }
    }
    return new Pixels(image.width(), height, out);
  }

  private static byte sum(byte[] in, int from, int stride, int[] weights) {
    long sum = 1L << (PRECISION_BITS - 1);
    for (int weight : weights) {
      sum += (long) weight * (in[from] & 0xFF);
      from += stride;
    }
    return (byte) Math.max(0, Math.min(255, sum >> PRECISION_BITS));
  }

  private Weights weights(int from, int to) {
    double scale = (double) from / to;
    double stretch = Math.max(scale, 1);
    double support = lobes * stretch;
    Weights result = new Weights(to);
    for (int i = 0; i < to; i++) {
      double centre = (i + 0.5) * scale;
      int first = Math.max(0, (int) (centre - support + 0.5));
      int end = Math.min(from, (int) (centre + support + 0.5));
      double[] exact = new double[end - first];
      double total = 0;
      for (int j = 0; j < exact.length; j++) {
        exact[j] = filter((j + first - centre + 0.5) / stretch);
        total += exact[j];
      }
      int[] fixed = new int[exact.length];
      for (int j = 0; j < fixed.length; j++) {
        fixed[j] = (int) Math.round(exact[j] / total * (1 << PRECISION_BITS));
      }
      result.first[i] = first;
      result.weights[i] = fixed;
    }
    return result;
  }

  private double filter(double x) {
    double d = Math.abs(x);
    return switch (this) {
      case LANCZOS -> d < 3 ? sinc(x) * sinc(x / 3) : 0;
      case BICUBIC ->
          d < 1 ? (1.5 * d - 2.5) * d * d + 1 : d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : 0;
    };
  }

  private static double sinc(double x) {
    return x == 0 ? 1 : StrictMath.sin(Math.PI * x) / (Math.PI * x);
  }
}
