package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.kernel.ColumnSums;
import org.jspecify.annotations.Nullable;

/** The gradient of a bias that was added to every row: the sum of dy over its rows. */
final class BiasGradient {
  private BiasGradient() {}

  /**
   * Adds the sum of dy [.., O] over all but the last axis to the gradient of a bias [O]: by a
   * kernel of ours straight into its slice, or by libtorch. Does nothing for null.
   */
  static void accumulate(Arena arena, @Nullable Parameter bias, Tensor dy) {
    if (bias == null) {
      return;
    }
    ColumnSums kernel = ColumnSums.in(arena, dy, 1, bias.weight());
    if (kernel != null) {
      bias.accumulateBy((slice, add) -> kernel.sum(arena, dy, 1, slice, add));
    } else {
      Native.run("bias gradient", () -> bias.accumulate(Linear.rows(dy).sum(0)));
    }
  }
}
