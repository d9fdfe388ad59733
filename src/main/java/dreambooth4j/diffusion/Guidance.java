package dreambooth4j.diffusion;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.RowScaledSum;
import dreambooth4j.engine.op.WeightedSum;

/**
 * Classifier-free guidance (Ho and Salimans, 2022): away from what the network says without the
 * prompt, by {@code scale} times the way to what it says with it.
 */
public final class Guidance {
  private Guidance() {}

  /**
   * u + scale·(c − u), and this scaled towards the deviation of c (Lin et al., 2023, section 3.4).
   *
   * @param output the network's output [2B, …]: B rows without the prompt, then the same B with it
   * @param rescale 0 leaves it as it is, 1 gives each row the deviation that c has
   * @return [B, …], in {@code arena}, held by the caller
   */
  public static Tensor combine(Arena arena, Tensor output, double scale, double rescale) {
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
    if (rescale != 0) {
      Tensor rescaled = rescaled(arena, guided, with, rescale);
      guided.release();
      guided = rescaled;
    }
    with.release();
    without.release();
    return guided;
  }

  private static Tensor rescaled(Arena arena, Tensor guided, Tensor with, double rescale) {
    double[] from = deviations(guided);
    double[] to = deviations(with);
    float[] factors = new float[from.length];
    for (int i = 0; i < factors.length; i++) {
      factors[i] = (float) (1 + rescale * (to[i] / from[i] - 1));
    }
    Tensor factor = arena.floats("rescale", factors, factors.length);
    Tensor none = arena.zeros("0", DType.F32, factors.length);
    Tensor rescaled = RowScaledSum.of(arena, factor, guided, none, guided);
    none.release();
    factor.release();
    return rescaled;
  }

  /** The standard deviation of each row's elements. */
  private static double[] deviations(Tensor rows) {
    float[] values = rows.toFloats();
    double[] deviations = new double[(int) rows.size(0)];
    int each = values.length / deviations.length;
    for (int row = 0; row < deviations.length; row++) {
      double sum = 0;
      for (int i = row * each; i < (row + 1) * each; i++) {
        sum += values[i];
      }
      double mean = sum / each;
      double squares = 0;
      for (int i = row * each; i < (row + 1) * each; i++) {
        squares += (values[i] - mean) * (values[i] - mean);
      }
      deviations[row] = Math.sqrt(squares / (each - 1));
    }
    return deviations;
  }
}
