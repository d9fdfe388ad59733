package dreambooth4j.data;

import java.util.Comparator;
import java.util.List;
import java.util.TreeSet;

/**
 * The extension's aspect buckets: the ratios 1:1, 5:4, 4:3, 3:2, 16:9 and 2:1 both ways, each with
 * about resolution² pixels, sides rounded down to a multiple of 8.
 */
public final class Buckets {
  private static final int[][] RATIOS = {{16, 9}, {5, 4}, {4, 3}, {3, 2}, {2, 1}, {1, 1}};
  private static final int STEP = 8;

  private final List<Bucket> sizes;

  /** The buckets of a resolution in pixels, at least 16. */
  public Buckets(int resolution) {
    if (resolution < 2 * STEP) {
      throw new IllegalArgumentException("resolution " + resolution + " is below " + 2 * STEP);
    }
    TreeSet<Bucket> sorted = new TreeSet<>();
    for (int[] ratio : RATIOS) {
      int w = side(resolution, ratio[0], ratio[1]);
      int h = side(resolution, ratio[1], ratio[0]);
      sorted.add(new Bucket(w, h));
      sorted.add(new Bucket(h, w));
    }
    sizes = List.copyOf(sorted);
  }

  private static int side(int resolution, int a, int b) {
    return STEP * (int) Math.floor(resolution * Math.sqrt((double) a / b) / STEP);
  }

  /** All sizes, by width. */
  public List<Bucket> sizes() {
    return sizes;
  }

  /** The bucket whose ratio of width to height is nearest; of two alike the narrower. */
  public Bucket nearest(int width, int height) {
    double ratio = (double) width / height;
    return sizes.stream()
        .min(Comparator.comparingDouble(b -> Math.abs(ratio - (double) b.width() / b.height())))
        .orElseThrow();
  }
}
