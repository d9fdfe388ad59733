package dreambooth4j.engine.op;

import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.util.List;
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
    return tape.record(
        "dropout",
        dropped(tape, x.value(), draws, purpose, share),
        x.needsGradient(),
        List.of(),
        dy -> x.accumulate(dropped(tape, dy, draws, purpose, share)));
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
