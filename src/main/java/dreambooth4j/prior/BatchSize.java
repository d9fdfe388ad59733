package dreambooth4j.prior;

import dreambooth4j.data.Bucket;
import java.util.HashMap;
import java.util.Map;
import java.util.function.LongSupplier;

/**
 * How many class images are made at once: as many as the configuration says, or, where it leaves it
 * open, as many as memory allows, up to where more at once gain nothing. Of each size the first
 * picture is then made alone, and what it took decides. A batch that memory did not suffice for is
 * halved either way.
 */
final class BatchSize {
  /** Small pictures leave the cores waiting between ops: so many at once keep them busy. */
  static final int MOST = 16;

  /**
   * Beyond so many pixels at once a CPU computes no faster, and a kill loses more: 16 pictures took
   * 5.4 s of its time one by one and 4.4 s in batches at 32×32, but 7.6 s and 7.4 s at 64×64.
   */
  private static final long PIXELS_AT_ONCE = 128 * 128;

  private final int wanted;
  private final LongSupplier available;
  private final Map<Bucket, Integer> chosen = new HashMap<>();

  /**
   * Sizes for a run.
   *
   * @param wanted 0 for as many as memory allows
   * @param available bytes that could still be had
   */
  BatchSize(int wanted, LongSupplier available) {
    this.wanted = wanted;
    this.available = available;
  }

  /** How many pictures of this size may be made at once. */
  int of(Bucket bucket) {
    return chosen.getOrDefault(bucket, wanted == 0 ? 1 : wanted);
  }

  /**
   * So many pictures of this size went well.
   *
   * @param bytes the most that was held for them at once
   */
  void took(Bucket bucket, int count, long bytes) {
    if (wanted == 0 && !chosen.containsKey(bucket)) {
      // Half is left to others, and to libtorch's own workspaces, which nobody counts.
      long each = Math.max(1, bytes / count);
      long fitting = available.getAsLong() / 2 / each;
      long useful = Math.min(MOST, PIXELS_AT_ONCE / ((long) bucket.width() * bucket.height()));
      chosen.put(bucket, (int) Math.max(1, Math.min(useful, fitting)));
    }
  }

  /**
   * Memory did not suffice for so many pictures of this size.
   *
   * @return whether fewer can be tried
   */
  boolean halve(Bucket bucket, int count) {
    chosen.put(bucket, Math.max(1, count / 2));
    return count > 1;
  }
}
