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
    return record(tape, x, values -> dropped(tape, values, draws, purpose, share));
  }

  /** x − y: what {@link #apply} with the same draws takes away, or adds if it is negative. */
  public static Var rest(Tape tape, Var x, NoiseDraws draws, String purpose, double share) {
    return record(
        tape,
        x,
        values -> {
          Tensor kept = dropped(tape, values, draws, purpose, share);
          Tensor rest =
              tape.arena().compute("dropout.rest", () -> values.handle().sub(kept.handle()));
          kept.release();
          return rest;
        });
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

  private static Tensor dropped(
      Tape tape, Tensor x, NoiseDraws draws, String purpose, double share) {
    Tensor drawn = draws.uniform(tape.arena(), purpose, x.shape());
    Tensor y =
        tape.arena()
            .compute(
                "dropout",
                () ->
                    drawn
                        .handle()
                        .ge(new Scalar(share))
                        .mul(x.handle())
                        .mul_(new Scalar(1 / (1 - share))));
    drawn.release();
    return y;
  }
}
