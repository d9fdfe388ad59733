package dreambooth4j.engine.op;

import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.util.List;
import java.util.function.UnaryOperator;
import org.bytedeco.pytorch.Scalar;

/**
 * y = x with a share of its elements zero and the others larger by as much, so that sums stay as
 * they are on average (Srivastava et al. 2014). x, y [B·n, ..] of the rows of the draws, B. Which
 * elements is a function of seed, purpose, step and row alone: backward draws it again, and so does
 * a block that is run again. Keeps nothing.
 */
public final class Dropout {
  private Dropout() {}

  /**
   * Applies it.
   *
   * @param draws of the step and its rows
   * @param purpose what tells these draws from those of other layers
   * @param share from 0 to below 1
   */
  public static Var apply(Tape tape, Var x, NoiseDraws draws, String purpose, double share) {
    return record(
        tape, x, values -> scaled(tape, values, draws, purpose, share, 1 / (1 - share), 0));
  }

  /** x − y: what {@link #apply} with the same draws takes away, or adds if it is negative. */
  public static Var rest(Tape tape, Var x, NoiseDraws draws, String purpose, double share) {
    double kept = -share / (1 - share); // not x − y: in half precision y is rounded already
    return record(tape, x, values -> scaled(tape, values, draws, purpose, share, kept, 1));
  }

  /** Each element times a number of its own, forward and backward alike. */
  private static Var record(Tape tape, Var x, UnaryOperator<Tensor> scaled) {
    return tape.record(
        "dropout",
        scaled.apply(x.value()),
        x.needsGradient(),
        List.of(),
        dy -> x.accumulate(scaled.apply(dy)));
  }

  /** Elements that are kept times one number, the others times 0 or 1: rounded once. */
  private static Tensor scaled(
      Tape tape,
      Tensor x,
      NoiseDraws draws,
      String purpose,
      double share,
      double kept,
      int dropped) {
    Tensor drawn = draws.uniform(tape.arena(), purpose, x.shape());
    Tensor y =
        tape.arena()
            .compute(
                "dropout",
                () -> {
                  var keeps = drawn.handle().ge(new Scalar(share));
                  var scaled = keeps.mul(x.handle()).mul_(new Scalar(kept));
                  return dropped == 0 ? scaled : scaled.add_(keeps.logical_not().mul(x.handle()));
                });
    drawn.release();
    return y;
  }
}
