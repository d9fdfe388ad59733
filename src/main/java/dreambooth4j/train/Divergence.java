package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Finds where a number that is not finite came from, and says it. */
final class Divergence {
  private static final String WAY_OUT =
      "Try a lower learning_rate, lr_warmup_steps, or max_grad_norm 1.";

  private Divergence() {}

  /** Explains a loss that is not finite: the first bad tensor in the order of computation. */
  static Problem ofLoss(
      Arena run,
      TrainingStep step,
      PairBatches.Drawn batch,
      double priorLossWeight,
      List<Parameters> trained,
      int number) {
    String where = "none that can be found again";
    Parameter bad = firstBad(trained, false);
    if (!batch.rows().latents().isFinite()) {
      where = "the latents (a picture, or the VAE)";
    } else if (bad != null) {
      where = "the weight " + bad;
    } else {
      try {
        step.explain(run, batch.rows(), batch.draws(), priorLossWeight);
      } catch (Problem e) {
        where = String.valueOf(e.getMessage());
      }
    }
    return problem(number, "the loss is not finite", where);
  }

  /** Explains gradients whose norm is not finite. */
  static Problem ofGradients(List<Parameters> trained, int number) {
    Parameter bad = firstBad(trained, true);
    return problem(
        number,
        "the gradient is not finite",
        bad == null ? "the sum of all squares" : "the gradient of " + bad);
  }

  private static Problem problem(int number, String what, String where) {
    return new Problem(
        Problem.Kind.DIVERGED,
        "step %d: %s; first bad tensor: %s. %s".formatted(number, what, where, WAY_OUT));
  }

  private static @Nullable Parameter firstBad(List<Parameters> groups, boolean gradients) {
    for (Parameters group : groups) {
      for (Parameter each : group.all()) {
        boolean looked = !gradients || each.isTrainable();
        if (looked && !(gradients ? each.gradient() : each.weight()).isFinite()) {
          return each;
        }
      }
    }
    return null;
  }
}
