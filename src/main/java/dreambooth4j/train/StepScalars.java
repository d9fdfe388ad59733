package dreambooth4j.train;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;

/**
 * The numbers that the host gives a step before it and reads after it, in fixed places on the
 * device. Each is a tensor of its own, a view that begins on 16 bytes.
 *
 * <table>
 * <caption>Places, in the run's arena</caption>
 * <tr><th>place</th><th>what</th><th>dtype</th></tr>
 * <tr><td>step</td><td>number of the step, from 0; draws are a function of it</td><td>I64 [1]</td></tr>
 * <tr><td>learningRate</td><td>of this step</td><td>F32 [1]</td></tr>
 * <tr><td>priorWeight</td><td>prior loss weight of this step</td><td>F32 [1]</td></tr>
 * <tr><td>fraction</td><td>1 / batches of the step</td><td>F32 [1]</td></tr>
 * <tr><td>lossScale</td><td>what fp16's gradients are too large by, otherwise 1</td><td>F32 [1]</td></tr>
 * <tr><td>emaRate</td><td>1 − decay of the averaged weights</td><td>F32 [1]</td></tr>
 * <tr><td>losses</td><td>results: total, instance, prior, means over the batches</td><td>F32 [3]</td></tr>
 * <tr><td>norm</td><td>result: of the gradients before clipping, times the loss scale</td><td>F32 [1]</td></tr>
 * </table>
 */
final class StepScalars {
  /** Elements between two places: 16 bytes. */
  private static final int SLOT = 4;

  // Where each of the host's numbers begins, in elements of the inputs.
  private static final int LEARNING_RATE = 0;
  private static final int PRIOR_WEIGHT = LEARNING_RATE + SLOT;
  private static final int FRACTION = PRIOR_WEIGHT + SLOT;
  private static final int LOSS_SCALE = FRACTION + SLOT;
  private static final int EMA_RATE = LOSS_SCALE + SLOT;
  private static final int INPUTS = EMA_RATE + SLOT;

  // Where each result begins, in elements of the results.
  private static final int LOSSES = 0;
  private static final int NORM = LOSSES + SLOT;
  private static final int RESULTS = NORM + SLOT;

  final Tensor step;
  final Tensor learningRate;
  final Tensor priorWeight;
  final Tensor fraction;
  final Tensor lossScale;
  final Tensor emaRate;
  final Tensor losses;
  final Tensor norm;
  private final Tensor inputs;
  private final Tensor results;

  StepScalars(Arena run) {
    step = run.zeros("step", DType.I64, 1);
    inputs = run.zeros("step inputs", DType.F32, INPUTS);
    results = run.zeros("step results", DType.F32, RESULTS);
    learningRate = inputs.rows(LEARNING_RATE, 1);
    priorWeight = inputs.rows(PRIOR_WEIGHT, 1);
    fraction = inputs.rows(FRACTION, 1);
    lossScale = inputs.rows(LOSS_SCALE, 1);
    emaRate = inputs.rows(EMA_RATE, 1);
    losses = results.rows(LOSSES, 3);
    norm = results.rows(NORM, 1);
  }

  /** Writes what the host decides of a step of so many batches. */
  void write(StepSettings settings, int batches) {
    step.copyFrom(new long[] {settings.step()});
    float[] all = new float[INPUTS];
    all[LEARNING_RATE] = (float) settings.learningRate();
    all[PRIOR_WEIGHT] = (float) settings.priorLossWeight();
    all[FRACTION] = 1f / batches;
    all[LOSS_SCALE] = (float) settings.lossScale();
    all[EMA_RATE] = (float) settings.emaRate();
    inputs.copyFrom(all);
  }

  /**
   * Reads what the last step computed; waits for it.
   *
   * @param hasPrior whether there were prior rows
   */
  StepResult read(StepSettings settings, boolean hasPrior) {
    float[] all = results.toFloats();
    return new StepResult(
        new Losses(all[LOSSES], all[LOSSES + 1], hasPrior ? (double) all[LOSSES + 2] : null),
        all[NORM] / settings.lossScale());
  }
}
