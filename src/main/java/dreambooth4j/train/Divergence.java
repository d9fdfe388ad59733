package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Optimizer;
import dreambooth4j.engine.Parameter;
import dreambooth4j.pipeline.StableDiffusion;
import java.util.List;
import java.util.function.Function;

/** Finds where a number that is not finite came from, and says it. */
final class Divergence {
  private static final String WAY_OUT =
      "Try a lower learning_rate, lr_warmup_steps, or max_grad_norm 1.";

  private static final String NOT_FOUND = "none that can be found again";
  private static final String OF_ALL = "the sum of all squares";

  private Divergence() {}

  /** Of what each of several ranks found in its own rows, the first that names a tensor. */
  static Problem ofRanks(List<String> found) {
    String best =
        found.stream()
            .filter(each -> !each.contains(NOT_FOUND) && !each.contains(OF_ALL))
            .findFirst()
            .orElse(found.get(0));
    return new Problem(Problem.Kind.DIVERGED, best);
  }

  /** Explains a loss that is not finite: the first bad tensor in the order of computation. */
  static Problem ofLoss(
      StableDiffusion model,
      Training training,
      List<Function<Arena, TrainingBatch>> batches,
      int number) {
    String where = model.firstBadWeight();
    if (where == null) {
      where = NOT_FOUND;
      try {
        training.explain(batches);
      } catch (Problem e) {
        where = String.valueOf(e.getMessage());
      }
    }
    return problem(number, "the loss is not finite", where);
  }

  /**
   * Explains gradients whose norm is not finite.
   *
   * @param again computes them once more where the update has set them to zero: the weights are as
   *     they were
   */
  static Problem ofGradients(Optimizer optimizer, Runnable again, int number) {
    Parameter bad = optimizer.badGradient();
    if (bad == null) {
      again.run();
      bad = optimizer.badGradient();
    }
    String where = bad == null ? OF_ALL : "the gradient of " + bad;
    return problem(number, "the gradient is not finite", where);
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
