package dreambooth4j.diffusion;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.LossForm;
import dreambooth4j.engine.Tensor;
import java.util.function.DoubleUnaryOperator;
import java.util.function.LongToDoubleFunction;

/**
 * What the network is to answer in training, what an error costs, and how much that of each
 * timestep counts: what {@code engine.op.RowLoss} reads of each timestep. Weightings multiply.
 */
public final class Objective {
  /** Signal to noise ratios above this count as this where kohya and OneTrainer cap them. */
  private static final double MOST_SNR = 1000;

  private final NoiseSchedule schedule;
  private final DoubleUnaryOperator weightOfSnr;
  private final LossForm form;
  private final LongToDoubleFunction threshold;

  private Objective(
      NoiseSchedule schedule,
      DoubleUnaryOperator weightOfSnr,
      LossForm form,
      LongToDoubleFunction threshold) {
    this.schedule = schedule;
    this.weightOfSnr = weightOfSnr;
    this.form = form;
    this.threshold = threshold;
  }

  /** The squared error, which counts the same at every timestep. */
  public static Objective plain(NoiseSchedule schedule) {
    return new Objective(schedule, snr -> 1, LossForm.SQUARED, t -> 1);
  }

  private Objective weighted(DoubleUnaryOperator factor) {
    return new Objective(
        schedule,
        snr -> weightOfSnr.applyAsDouble(snr) * factor.applyAsDouble(snr),
        form,
        threshold);
  }

  /**
   * Timesteps count by their signal to noise ratio, which {@code gamma} caps (Hang et al., 2023):
   * min(snr, γ)/snr for the noise, min(snr, γ)/(snr + 1) for the velocity.
   *
   * @throws Problem if gamma is not above 0
   */
  public Objective minSnr(double gamma) {
    if (!(gamma > 0)) {
      throw Problem.usage("snr_gamma must be above 0, found " + gamma);
    }
    // Written so that an snr of 0 or infinity gives the limit instead of 0/0 or ∞/∞.
    return weighted(
        isVelocity()
            ? snr -> snr < gamma ? snr / (snr + 1) : gamma / (snr + 1)
            : snr -> Math.min(1, gamma / snr));
  }

  /**
   * Debiased estimation (Yu et al., 2024), with s = min(snr, 1000): 1/√s for the noise; for the
   * velocity 1/(s + 1) as kohya has it, or 1/√(s + 1) as OneTrainer does.
   */
  public Objective debiased(boolean asOneTrainer) {
    if (!isVelocity()) {
      return weighted(snr -> 1 / Math.sqrt(capped(snr)));
    }
    return weighted(
        asOneTrainer ? snr -> 1 / Math.sqrt(capped(snr) + 1) : snr -> 1 / (capped(snr) + 1));
  }

  /**
   * P2 weighting (Choi et al., 2022): (1 + snr)^−γ for the noise, (2 + snr)^−γ for the velocity.
   */
  public Objective p2(double gamma) {
    double one = isVelocity() ? 2 : 1;
    return weighted(snr -> Math.pow(one + snr, -gamma));
  }

  /**
   * The velocity's error counts as the noise's would: s/(s + 1) with s = min(snr, 1000) (kohya).
   *
   * @throws Problem where the model predicts the noise itself
   */
  public Objective scaledLikeNoise() {
    if (!isVelocity()) {
      throw Problem.usage(
          "scale_v_pred_loss_like_noise_pred is for models that predict velocity, and this one predicts noise: leave it out");
    }
    return weighted(snr -> capped(snr) / (capped(snr) + 1));
  }

  /**
   * The noise's error counts more by {@code strength} times what the velocity's would be: 1 +
   * strength·(s + 1)/s with s = min(snr, 1000) (kohya).
   *
   * @throws Problem where the model predicts velocity
   */
  public Objective likeVelocityToo(double strength) {
    if (isVelocity()) {
      throw Problem.usage(
          "v_pred_like_loss is for models that predict noise, and this one predicts velocity: leave it out");
    }
    return weighted(snr -> 1 + strength * (capped(snr) + 1) / capped(snr));
  }

  private static double capped(double snr) {
    return Math.min(snr, MOST_SNR);
  }

  private boolean isVelocity() {
    return prediction() == Prediction.VELOCITY;
  }

  /** Another cost of an error, whose threshold is the same at every timestep. */
  public Objective costing(LossForm other, double c) {
    return costing(other, t -> c);
  }

  /** Another cost, whose threshold falls with the timestep: scale·exp(ln(c)·t / timesteps). */
  public Objective costingExponentially(LossForm other, double c, double scale) {
    double rate = Math.log(c) / timesteps();
    return costing(other, t -> scale * Math.exp(rate * t));
  }

  /** Another cost, whose threshold falls to c with the noise: (1 − c)/(1 + √(1/snr))² + c. */
  public Objective costingBySnr(LossForm other, double c) {
    return costing(other, t -> (1 - c) / Math.pow(1 + Math.sqrt(1 / schedule.snr(t)), 2) + c);
  }

  private Objective costing(LossForm other, LongToDoubleFunction thresholds) {
    return new Objective(schedule, weightOfSnr, other, thresholds);
  }

  /** Number of timesteps; they are 0 to this less one. */
  public int timesteps() {
    return schedule.timesteps();
  }

  /** What the network is to answer: the noise itself, or the velocity. */
  public Prediction prediction() {
    return schedule.prediction();
  }

  /** What an error costs. */
  public LossForm form() {
    return form;
  }

  /** What a timestep's error counts, a function of its signal to noise ratio. */
  public double timestepWeight(long timestep) {
    return weightOfSnr.applyAsDouble(schedule.snr(timestep));
  }

  /** {@link #timestepWeight} of every timestep: F32 [timesteps] in {@code arena}. */
  public Tensor timestepWeights(Arena arena) {
    return table(arena, "timestep weights", this::timestepWeight);
  }

  /** The threshold of the cost at every timestep: F32 [timesteps] in {@code arena}. */
  public Tensor thresholds(Arena arena) {
    return table(arena, "loss thresholds", threshold);
  }

  private Tensor table(Arena arena, String what, LongToDoubleFunction of) {
    float[] values = new float[timesteps()];
    for (int t = 0; t < values.length; t++) {
      values[t] = (float) of.applyAsDouble(t);
    }
    return arena.floats(what, values, values.length);
  }
}
