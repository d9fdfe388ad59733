package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.kernel.Fork;

/**
 * Backward of an op of an input and weights: the gradient of each needs nothing of the other's, so
 * they may be computed at once ({@link Fork}).
 */
final class TwoGradients {
  private TwoGradients() {}

  /**
   * Computes those that are needed.
   *
   * @param data the input's: reads dy and weights
   * @param weights the weights': reads dy and the input, and writes their slices
   */
  static void run(
      Arena arena, boolean dataNeeded, Runnable data, boolean weightsNeeded, Runnable weights) {
    if (dataNeeded && weightsNeeded) {
      OpBackend.of(arena).fork().run(data, weights);
    } else if (dataNeeded) {
      data.run();
    } else if (weightsNeeded) {
      weights.run();
    }
  }
}
