package dreambooth4j.diffusion;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.WeightedSum;

/**
 * Classifier-free guidance (Ho and Salimans, 2022): away from what the network says without the
 * prompt, by {@code scale} times the way to what it says with it.
 */
public final class Guidance {
  private Guidance() {}

  /**
   * u + scale·(c − u).
   *
   * @param output the network's output [2B, …]: B rows without the prompt, then the same B with it
   * @return [B, …], in {@code arena}, held by the caller
   */
  public static Tensor combine(Arena arena, Tensor output, double scale) {
    long rows = output.size(0) / 2;
    if (2 * rows != output.size(0)) {
      throw new IllegalArgumentException("an odd number of rows to guide: " + output);
    }
    Tensor without = output.rows(0, rows);
    Tensor with = output.rows(rows, rows);
    // The difference first: one and the other are close, and a large scale would magnify rounding.
    Tensor difference = WeightedSum.of(arena, new double[] {1, -1}, with, without);
    Tensor guided = WeightedSum.of(arena, new double[] {1, scale}, without, difference);
    difference.release();
    with.release();
    without.release();
    return guided;
  }
}
