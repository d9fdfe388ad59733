package dreambooth4j.data;

import java.util.Collection;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/** A list of sizes; a picture goes to the one whose ratio of its sides is nearest to its own. */
public final class AspectBuckets implements Buckets {
  private static final int[][] EXTENSION = {{16, 9}, {5, 4}, {4, 3}, {3, 2}, {2, 1}, {1, 1}};
  private static final int STEP = 8;

  private final List<Bucket> sizes;
  private final boolean byHeight;

  /** These sizes, compared by width / height. */
  public AspectBuckets(Collection<Bucket> sizes) {
    this(sizes, false);
  }

  private AspectBuckets(Collection<Bucket> sizes, boolean byHeight) {
    this.sizes = List.copyOf(new TreeSet<>(sizes));
    this.byHeight = byHeight;
    if (sizes.isEmpty()) {
      throw new IllegalArgumentException("no sizes");
    }
  }

  /**
   * sd_dreambooth_extension's: 1:1, 5:4, 4:3, 3:2, 16:9 and 2:1 both ways, each with about
   * resolution² pixels, sides rounded down to a multiple of 8.
   *
   * @param resolution at least 16
   */
  public static AspectBuckets extension(int resolution) {
    if (resolution < 2 * STEP) {
      throw new IllegalArgumentException("resolution " + resolution + " is below " + 2 * STEP);
    }
    Set<Bucket> sizes = new TreeSet<>();
    for (int[] ratio : EXTENSION) {
      int w = STEP * (int) (resolution * Math.sqrt((double) ratio[0] / ratio[1]) / STEP);
      int h = STEP * (int) (resolution * Math.sqrt((double) ratio[1] / ratio[0]) / STEP);
      sizes.add(new Bucket(w, h));
      sizes.add(new Bucket(h, w));
    }
    return new AspectBuckets(sizes);
  }

  /** All sizes, by width. */
  public List<Bucket> sizes() {
    return sizes;
  }

  /** The picture's own size if it is listed, else the nearest ratio; of two alike the narrower. */
  @Override
  public Bucket of(int width, int height) {
    Bucket own = new Bucket(width, height);
    Bucket nearest = sizes.get(0);
    for (Bucket each : sizes) {
      if (each.equals(own)) {
        return own;
      }
      if (difference(each, own) < difference(nearest, own)) {
        nearest = each;
      }
    }
    return nearest;
  }

  private double difference(Bucket a, Bucket b) {
    return byHeight
        ? Math.abs((double) a.height() / a.width() - (double) b.height() / b.width())
        : Math.abs((double) a.width() / a.height() - (double) b.width() / b.height());
  }
}
