package dreambooth4j.diffusion;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;

/**
 * How much noise there is at each timestep of training: x_t = √ᾱ_t·x₀ + √(1−ᾱ_t)·ε (Ho et al.,
 * 2020), and what the network is asked to predict. Holds no native memory.
 */
public final class NoiseSchedule {
  /** Ten times what any model was trained with. */
  private static final int MOST_STEPS = 10_000;

  /** What diffusers puts in place of ᾱ = 0 where a sampler divides by it. */
  private static final float NEARLY_NO_SIGNAL = 0x1p-24f;

  private final float[] betas;
  private final float[] alphasCumprod;
  private final Prediction prediction;

  private NoiseSchedule(float[] betas, Prediction prediction) {
    this.betas = betas;
    this.alphasCumprod = Betas.cumulativeAlphas(betas);
    this.prediction = prediction;
  }

  /**
   * The schedule of a model.
   *
   * @throws Problem naming the key and value that are not supported
   */
  public static NoiseSchedule of(SchedulerConfig config) {
    config.refuse("trained_betas");
    int steps = config.integer("num_train_timesteps", 1000);
    if (steps < 1 || steps > MOST_STEPS) {
      throw config.unsupported("num_train_timesteps");
    }
    Prediction prediction = Prediction.of(config);
    float[] betas = Betas.of(config, steps);
    if (config.flag("rescale_betas_zero_snr", false)) {
      if (prediction == Prediction.EPSILON) {
        throw Problem.data(
            "scheduler_config.json: rescale_betas_zero_snr needs prediction_type v_prediction:"
                + " where there is only noise, predicting it says nothing of the picture");
      }
      betas = Betas.withZeroTerminalSnr(betas);
    }
    return new NoiseSchedule(betas, prediction);
  }

  /** Number of timesteps of training; they are 0 (little noise) to this less one. */
  public int timesteps() {
    return alphasCumprod.length;
  }

  /** What the network's output means. */
  public Prediction prediction() {
    return prediction;
  }

  /** The variance that every timestep adds; a copy. */
  public float[] betas() {
    return betas.clone();
  }

  /** ᾱ of every timestep; a copy. */
  public float[] alphasCumprod() {
    return alphasCumprod.clone();
  }

  /** ᾱ of a timestep. */
  public double alphaBar(long timestep) {
    if (timestep < 0 || timestep >= alphasCumprod.length) {
      throw new IllegalArgumentException(
          "timestep %d is not one of 0 to %d".formatted(timestep, alphasCumprod.length - 1));
    }
    return alphasCumprod[(int) timestep];
  }

  /** Signal to noise ratio ᾱ/(1−ᾱ): from 0 where there is only noise to infinity where none. */
  public double snr(long timestep) {
    double alphaBar = alphaBar(timestep);
    return alphaBar / (1 - alphaBar);
  }

  /**
   * What generalised offset noise is multiplied with at every timestep: the factor that keeps a
   * shift of the picture's mean what it is along the way, 1 at the last: F32 [timesteps] in {@code
   * arena}. OneTrainer's formula.
   */
  public Tensor offsetFactors(Arena arena) {
    double[] barred = new double[betas.length];
    double product = 1;
    for (int t = 0; t < betas.length; t++) {
      product *= 1.0 - betas[t];
      barred[t] = product;
    }
    double[] shares = new double[betas.length];
    double total = 0;
    for (int t = 0; t < betas.length; t++) {
      double before = t == 0 ? 1 : barred[t - 1];
      double gamma =
          t == 0 ? 1 : betas[t] * Math.sqrt(before) / ((1.0 - betas[t]) * (1 - before)) * total;
      shares[t] = gamma / Math.sqrt(before);
      total += shares[t];
    }
    double last = total / Math.sqrt(1 - product);
    float[] factors = new float[betas.length];
    double sum = 0;
    for (int t = 0; t < factors.length; t++) {
      sum += shares[t];
      factors[t] = (float) (sum / last / Math.sqrt(1 - barred[t]));
    }
    return arena.floats("offset factors", factors, factors.length);
  }

  /** √((1−ᾱ)/ᾱ) of every timestep, finite and rising, rounded to float32 as diffusers has them. */
  public double[] sigmas() {
    double[] sigmas = new double[alphasCumprod.length];
    for (int i = 0; i < sigmas.length; i++) {
      float alphaBar = alphasCumprod[i] == 0 ? NEARLY_NO_SIGNAL : alphasCumprod[i];
      sigmas[i] = (float) Math.sqrt((1 - alphaBar) / alphaBar);
    }
    return sigmas;
  }

  /** √ᾱ and √(1−ᾱ) of every timestep: F32 [timesteps, 2] in {@code arena}. */
  public Tensor roots(Arena arena) {
    int count = alphasCumprod.length;
    float[] roots = new float[2 * count];
    for (int t = 0; t < count; t++) {
      roots[2 * t] = (float) Math.sqrt(alphaBar(t));
      roots[2 * t + 1] = (float) Math.sqrt(1 - alphaBar(t));
    }
    return arena.floats("roots", roots, count, 2);
  }
}
