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

  private final float[] alphasCumprod;
  private final Prediction prediction;

  private NoiseSchedule(float[] alphasCumprod, Prediction prediction) {
    this.alphasCumprod = alphasCumprod;
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
    return new NoiseSchedule(Betas.cumulativeAlphas(betas), prediction);
  }

  /** Number of timesteps of training; they are 0 (little noise) to this less one. */
  public int timesteps() {
    return alphasCumprod.length;
  }

  /** What the network's output means. */
  public Prediction prediction() {
    return prediction;
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

  /** √((1−ᾱ)/ᾱ) of every timestep, finite and rising, rounded to float32 as diffusers has them. */
  double[] sigmas() {
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
