package dreambooth4j.diffusion;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import java.util.function.DoubleUnaryOperator;

/**
 * What the network is to answer in training, and how much the error of each timestep counts: the
 * row weights of {@code engine.op.RowLoss}.
 */
public final class Objective {
  private final NoiseSchedule schedule;
  private final DoubleUnaryOperator weightOfSnr;

  private Objective(NoiseSchedule schedule, DoubleUnaryOperator weightOfSnr) {
    this.schedule = schedule;
    this.weightOfSnr = weightOfSnr;
  }

  /** Every timestep counts the same. */
  public static Objective plain(NoiseSchedule schedule) {
    return new Objective(schedule, snr -> 1);
  }

  /**
   * Timesteps count by their signal to noise ratio, which {@code gamma} caps (Hang et al., 2023):
   * min(snr, γ)/snr for the noise, min(snr, γ)/(snr + 1) for the velocity.
   *
   * @throws Problem if gamma is not above 0
   */
  public static Objective minSnr(NoiseSchedule schedule, double gamma) {
    if (!(gamma > 0)) {
      throw Problem.usage("snr_gamma must be above 0, found " + gamma);
    }
    // Written so that an snr of 0 or infinity gives the limit instead of 0/0 or ∞/∞.
    return new Objective(
        schedule,
        switch (schedule.prediction()) {
          case EPSILON -> snr -> Math.min(1, gamma / snr);
          case VELOCITY -> snr -> snr < gamma ? snr / (snr + 1) : gamma / (snr + 1);
        });
  }

  /** Number of timesteps; they are 0 to this less one. */
  public int timesteps() {
    return schedule.timesteps();
  }

  /** What the network is to answer: the noise itself, or the velocity. */
  public Prediction prediction() {
    return schedule.prediction();
  }

  /** What a timestep's error counts, a function of its signal to noise ratio. */
  public double timestepWeight(long timestep) {
    return weightOfSnr.applyAsDouble(schedule.snr(timestep));
  }

  /** {@link #timestepWeight} of every timestep: F32 [timesteps] in {@code arena}. */
  public Tensor timestepWeights(Arena arena) {
    float[] weights = new float[schedule.timesteps()];
    for (int t = 0; t < weights.length; t++) {
      weights[t] = (float) timestepWeight(t);
    }
    return arena.floats("timestep weights", weights, weights.length);
  }
}
