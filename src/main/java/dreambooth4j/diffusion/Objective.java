package dreambooth4j.diffusion;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.WeightedSum;
import java.util.OptionalDouble;

/**
 * What the network is to answer in training, and how much each row's error counts: the loss is Σ
 * wᵢ·mean((outputᵢ − targetᵢ)²) over the rows i of a batch, instance rows first, then prior rows.
 */
public final class Objective {
  private final NoiseSchedule schedule;
  private final OptionalDouble snrGamma;

  private Objective(NoiseSchedule schedule, OptionalDouble snrGamma) {
    this.schedule = schedule;
    this.snrGamma = snrGamma;
  }

  /** Every timestep counts the same. */
  public static Objective plain(NoiseSchedule schedule) {
    return new Objective(schedule, OptionalDouble.empty());
  }

  /**
   * Timesteps count by their signal to noise ratio, which {@code gamma} caps (Hang et al., 2023).
   *
   * @throws Problem if gamma is not above 0
   */
  public static Objective minSnr(NoiseSchedule schedule, double gamma) {
    if (!(gamma > 0)) {
      throw Problem.usage("snr_gamma must be above 0, found " + gamma);
    }
    return new Objective(schedule, OptionalDouble.of(gamma));
  }

  /** The schedule that it speaks of. */
  public NoiseSchedule schedule() {
    return schedule;
  }

  /**
   * The noise itself, or the velocity where the schedule predicts that.
   *
   * @param x0 F32 [B, …], any layout
   * @param noise as x0, with offset noise if there is any
   * @return as x0: the noise with one more holder, or a new tensor in {@code arena}; either way the
   *     caller releases it
   */
  public Tensor target(Arena arena, Tensor x0, Tensor noise, long... timesteps) {
    return switch (schedule.prediction()) {
      case EPSILON -> noise.retain();
      case VELOCITY -> schedule.velocity(arena, x0, noise, timesteps);
    };
  }

  /**
   * The weight of each row: 1/B of the B instance rows, {@code priorWeight}/P of the P prior rows,
   * times the weight of its own timestep. A half without rows has no part in the loss.
   *
   * @param timesteps of all rows, the instance rows first
   */
  public double[] rowWeights(long[] timesteps, int instanceRows, double priorWeight) {
    int priorRows = timesteps.length - instanceRows;
    double[] weights = new double[timesteps.length];
    for (int i = 0; i < weights.length; i++) {
      double share = i < instanceRows ? 1.0 / instanceRows : priorWeight / priorRows;
      weights[i] = share * timestepWeight(timesteps[i]);
    }
    return weights;
  }

  /**
   * What a timestep's error counts: min(snr, γ)/snr for the noise, min(snr, γ)/(snr + 1) for the
   * velocity; 1 where all count the same.
   */
  public double timestepWeight(long timestep) {
    if (snrGamma.isEmpty()) {
      return 1;
    }
    double gamma = snrGamma.getAsDouble();
    double snr = schedule.snr(timestep);
    // Written so that an snr of 0 or infinity gives the limit instead of 0/0 or ∞/∞.
    return switch (schedule.prediction()) {
      case EPSILON -> Math.min(1, gamma / snr);
      case VELOCITY -> snr < gamma ? snr / (snr + 1) : gamma / (snr + 1);
    };
  }

  /**
   * Noise whose mean differs from picture to picture, so that the model learns to be bright or dark
   * as a whole: noise + strength·shift, the shift repeated over each picture.
   *
   * @param noise F32 [B, H, W, C]
   * @param shift F32, B·C normal draws, a row's channels together: [B, C] or [B, C, 1, 1]
   * @return as noise, in {@code arena}, held by the caller
   */
  public static Tensor offsetNoise(Arena arena, Tensor noise, Tensor shift, double strength) {
    Tensor perPicture = shift.reshaped(noise.size(0), 1, 1, noise.size(3));
    Tensor shifted = WeightedSum.of(arena, new double[] {1, strength}, noise, perPicture);
    perPicture.release();
    return shifted;
  }
}
