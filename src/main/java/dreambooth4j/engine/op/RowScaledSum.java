package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import java.util.Arrays;

/**
 * A sum of two tensors with weights for each row: {@code z[i,…] = a[i]·x[i,…] + b[i]·y[i,…]}.
 *
 * <p>What adds noise to a batch whose rows are at different timesteps. It has no backward: both
 * inputs are data.
 *
 * <table>
 * <caption>Tensors</caption>
 * <tr><th>tensor</th><th>shape</th><th>dtype</th><th>owner</th></tr>
 * <tr><td>a, b</td><td>[B]</td><td>as x</td><td>the caller</td></tr>
 * <tr><td>x, y</td><td>[B, …]</td><td>F32 or F64</td><td>the caller</td></tr>
 * <tr><td>z</td><td>as x</td><td>as x</td><td>the given arena, held by the caller</td></tr>
 * </table>
 */
public final class RowScaledSum {
  private RowScaledSum() {}

  /** The sum, in two passes. */
  public static Tensor of(Arena arena, Tensor a, Tensor x, Tensor b, Tensor y) {
    long rows = x.size(0);
    if (!x.hasShape(y.shape()) || !a.hasShape(rows) || !b.hasShape(rows)) {
      throw new IllegalArgumentException(
          "cannot add rows of " + x + " by " + a + " and of " + y + " by " + b);
    }
    long[] column = new long[x.rank()];
    Arrays.fill(column, 1);
    column[0] = rows;
    return arena.compute(
        "row-scaled sum",
        () ->
            x.handle().mul(a.handle().view(column)).addcmul_(b.handle().view(column), y.handle()));
  }
}
