package dreambooth4j.model;

import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The size of an adapter.
 *
 * @param rank values between its two products
 * @param alpha what it adds to the layer's result is multiplied with alpha / rank
 * @param factor what a LoKr splits the sides of a weight by; 0 for as even as can be
 */
public record AdapterSize(int rank, double alpha, int factor) {
  /** Split as evenly as can be. */
  public AdapterSize(int rank, double alpha) {
    this(rank, alpha, 0);
  }

  /**
   * That of a LoKr whose first matrix has this shape.
   *
   * @param rank of the second as a product; 0 where it is whole
   * @param weight the shape of the layer's weight, as files hold it
   * @return null where no factor splits the weight so
   */
  public static @Nullable AdapterSize ofLokr(
      int rank, double alpha, List<Long> weight, List<Long> first) {
    long outputs = weight.get(0) / first.get(0);
    long inputs = weight.get(1) / first.get(1);
    long larger = Math.max(outputs, inputs);
    if (rank > 0 && 2L * rank >= larger) {
      return null;
    }
    int most = (int) Math.max(weight.get(0), weight.get(1));
    for (int factor = 0; factor <= most; factor++) {
      if (split(weight.get(0), factor)[0] == first.get(0)
          && split(weight.get(1), factor)[0] == first.get(1)) {
        return rank == 0
            ? new AdapterSize((int) larger, larger, factor)
            : new AdapterSize(rank, alpha, factor);
      }
    }
    return null;
  }

  /** What it adds is multiplied with this. */
  public double scale() {
    return alpha / rank;
  }

  /** What a LoKr splits a side of a weight into, the smaller one first. */
  long[] split(long side) {
    return split(side, factor);
  }

  /**
   * Two numbers whose product a side of a weight is, the smaller one first.
   *
   * @param factor one of the two where it divides the side; otherwise the smaller one is at most
   *     this. 0: as even as can be
   */
  private static long[] split(long side, int factor) {
    long[] pair = {1, side};
    if (factor > 0 && side % factor == 0) {
      pair = new long[] {factor, side / factor};
    } else {
      long most = factor > 0 ? factor : side;
      for (long smaller = 2; smaller <= most && smaller * smaller <= side; smaller++) {
        if (side % smaller == 0) {
          pair = new long[] {smaller, side / smaller};
        }
      }
    }
    Arrays.sort(pair);
    return pair;
  }
}
