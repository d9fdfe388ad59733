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

  /** The order of the places that the host writes. */
  private enum Input {
    LEARNING_RATE,
    PRIOR_WEIGHT,
    FRACTION,
    LOSS_SCALE,
    EMA_RATE
  }

  /** The order of the places that the host reads. */
  private enum Output {
    LOSSES,
    NORM
  }

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
    inputs = run.zeros("step inputs", DType.F32, (long) SLOT * Input.values().length);
    results = run.zeros("step results", DType.F32, (long) SLOT * Output.values().length);
    learningRate = input(Input.LEARNING_RATE);
    priorWeight = input(Input.PRIOR_WEIGHT);
    fraction = input(Input.FRACTION);
    lossScale = input(Input.LOSS_SCALE);
    emaRate = input(Input.EMA_RATE);
    losses = results.rows((long) SLOT * Output.LOSSES.ordinal(), 3);
    norm = results.rows((long) SLOT * Output.NORM.ordinal(), 1);
  }

  private Tensor input(Input which) {
    return inputs.rows((long) SLOT * which.ordinal(), 1);
  }

  /** Writes what the host decides of a step of so many batches. */
  void write(Training.Settings settings, int batches) {
    step.copyFrom(new long[] {settings.step()});
    float[] all = new float[(int) inputs.count()];
    all[SLOT * Input.LEARNING_RATE.ordinal()] = (float) settings.learningRate();
    all[SLOT * Input.PRIOR_WEIGHT.ordinal()] = (float) settings.priorLossWeight();
    all[SLOT * Input.FRACTION.ordinal()] = 1f / batches;
    all[SLOT * Input.LOSS_SCALE.ordinal()] = (float) settings.lossScale();
    all[SLOT * Input.EMA_RATE.ordinal()] = (float) settings.emaRate();
    inputs.copyFrom(all);
  }

  /**
   * Reads what the last step computed; waits for it.
   *
   * @param hasPrior whether there were prior rows
   */
  Training.Result read(Training.Settings settings, boolean hasPrior) {
    float[] all = results.toFloats();
    int at = SLOT * Output.LOSSES.ordinal();
    return new Training.Result(
        new Training.Losses(all[at], all[at + 1], hasPrior ? (double) all[at + 2] : null),
        all[SLOT * Output.NORM.ordinal()] / settings.lossScale());
  }
}
