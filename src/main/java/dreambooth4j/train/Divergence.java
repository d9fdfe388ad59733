package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.pipeline.StableDiffusion;
import java.util.List;

/** Finds where a number that is not finite came from, and says it. */
final class Divergence {
  private static final String WAY_OUT =
      "Try a lower learning_rate, lr_warmup_steps, or max_grad_norm 1.";

  private static final String GRADIENT = "the gradient is not finite";

  private Divergence() {}

  /** Explains a loss that is not finite: the first bad tensor in the order of computation. */
  static Problem ofLoss(
      Arena run,
      StableDiffusion model,
      TrainingStep step,
      PairBatches.Drawn batch,
      double priorLossWeight,
      int number) {
    String where = model.firstBadWeight();
    if (where == null && !batch.rows().latents().isFinite()) {
      where = "the latents of the pictures";
    }
    if (where == null) {
      where = "none that can be found again";
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
    for (Parameters group : trained) {
      for (Parameter each : group.all()) {
        if (each.isTrainable() && !each.gradient().isFinite()) {
          return problem(number, GRADIENT, "the gradient of " + each);
        }
      }
    }
    return problem(number, GRADIENT, "the sum of all squares");
  }

  /**
   * Makes sure that what is about to be saved after so many steps is worth it: the update after the
   * last loss that was looked at may have gone astray.
   */
  static void requireFinite(StableDiffusion model, int done) {
    String bad = model.firstBadWeight();
    if (bad != null) {
      throw problem(done, "its update left weights that are not finite", bad);
    }
  }

  private static Problem problem(int number, String what, String where) {
    return new Problem(
        Problem.Kind.DIVERGED,
        "step %d: %s; first bad tensor: %s. %s".formatted(number, what, where, WAY_OUT));
  }
}
