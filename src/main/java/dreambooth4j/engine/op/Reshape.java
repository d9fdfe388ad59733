package dreambooth4j.engine.op;

import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Var;
import java.util.List;

/**
 * The same elements under another shape, such as pixels [B, H, W, C] as tokens [B, H·W, C]: a view.
 * Keeps nothing.
 */
public final class Reshape {
  private Reshape() {}

  /** Sees x as {@code shape}. */
  public static Var apply(Tape tape, Var x, long... shape) {
    long[] before = x.value().shape();
    return tape.record(
        "reshape",
        x.value().reshaped(shape),
        x.needsGradient(),
        List.of(),
        dy -> x.accumulate(dy.reshaped(before)));
  }
}
