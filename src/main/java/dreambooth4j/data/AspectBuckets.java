package dreambooth4j.data;

import java.util.Collection;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/** A list of sizes; a picture goes to the one whose ratio of its sides is nearest to its own. */
public final class AspectBuckets implements Buckets {
  private static final int[][] EXTENSION = {{16, 9}, {5, 4}, {4, 3}, {3, 2}, {2, 1}, {1, 1}};
  private static final double[] ONE_TRAINER = {1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4};
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

  /**
   * Kohya's: every width from min to max in steps, with the height that gives at most resolution²
   * pixels, both ways, and the square.
   */
  public static AspectBuckets kohya(int resolution, int min, int max, int step) {
    long area = (long) resolution * resolution;
    Set<Bucket> sizes = new TreeSet<>();
    int side = resolution / step * step;
    sizes.add(new Bucket(side, side));
    for (int w = min; w <= max; w += step) {
      int h = (int) Math.min(max, area / w / step * step);
      if (h >= min) {
        sizes.add(new Bucket(w, h));
        sizes.add(new Bucket(h, w));
      }
    }
    return new AspectBuckets(sizes);
  }

  /**
   * OneTrainer's: nine ratios from 1:1 to 4:1 both ways, each with about resolution² pixels, sides
   * rounded to the nearest multiple of 8; pictures are compared by height / width.
   */
  public static AspectBuckets oneTrainer(int resolution) {
    Set<Bucket> sizes = new TreeSet<>();
    for (double ratio : ONE_TRAINER) {
      int shorter = STEP * (int) Math.max(1, Math.round(resolution / Math.sqrt(ratio) / STEP));
      int longer = STEP * (int) Math.round(resolution * Math.sqrt(ratio) / STEP);
      sizes.add(new Bucket(shorter, longer));
      sizes.add(new Bucket(longer, shorter));
    }
    return new AspectBuckets(sizes, true);
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
