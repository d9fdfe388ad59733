package dreambooth4j.diffusion;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.WeightedSum;
import java.util.function.DoubleUnaryOperator;
import java.util.function.Supplier;

/**
 * Euler's method over the noise level (Karras et al., 2022, algorithm 1 without churn): of x = x₀ +
 * σ·ε, ε is the slope over σ.
 */
final class EulerSampler implements Sampler {
  private final SchedulerConfig config;
  private final NoiseSchedule schedule;
  private final Spacing spacing;
  private SigmaPath path = SigmaPath.none();

  EulerSampler(SchedulerConfig config) {
    SigmaPath.refuseOthers(config);
    if (!config.text("interpolation_type", "linear").equals("linear")) {
      throw config.unsupported("interpolation_type");
    }
    if (!config.text("timestep_type", "discrete").equals("discrete")) {
      throw config.unsupported("timestep_type");
    }
    this.config = config;
    this.schedule = NoiseSchedule.of(config);
    this.spacing = Spacing.of(config, Spacing.LINSPACE);
  }

  @Override
  public void begin(int steps) {
    double last = SigmaPath.last(config, schedule);
    path = path(config, schedule, spacing, steps, last, t -> (float) t);
  }

  /**
   * The levels that a run over the noise level passes through.
   *
   * @param last the level that it ends at
   * @param karrasRounding of the timesteps that belong to Karras's levels
   */
  static SigmaPath path(
      SchedulerConfig config,
      NoiseSchedule schedule,
      Spacing spacing,
      int steps,
      double last,
      DoubleUnaryOperator karrasRounding) {
    SigmaPath trained = trainedPath(config, schedule, spacing, steps, last);
    return config.flag("use_karras_sigmas", false)
        ? SigmaPath.karras(
            schedule, steps, trained.sigma(0), trained.sigma(steps - 1), last, karrasRounding)
        : trained;
  }

  /** The levels of training at the spacing's timesteps, which are not made whole. */
  static SigmaPath trainedPath(
      SchedulerConfig config, NoiseSchedule schedule, Spacing spacing, int steps, double last) {
    double[] timesteps = spacing.timesteps(config, schedule, steps, 0);
    for (int i = 0; i < steps; i++) {
      timesteps[i] = (float) timesteps[i];
    }
    return SigmaPath.through(schedule, timesteps, last);
  }

  /** The size of the first sample: with leading spacing that of picture and noise together. */
  static double initNoiseSigma(SigmaPath path, Spacing spacing) {
    double highest = path.sigma(0);
    return spacing == Spacing.LEADING ? Math.sqrt(highest * highest + 1) : highest;
  }

  /** The mix of sample and output that gives ε at a level, the sample not of unit variance. */
  static Prediction.Mix slope(NoiseSchedule schedule, double sigma) {
    double alpha = SigmaPath.alphaOf(sigma);
    Prediction.Mix noise = schedule.prediction().noise(alpha, alpha * sigma);
    return new Prediction.Mix(noise.sample() * alpha, noise.output());
  }

  @Override
  public double[] timesteps() {
    return path.timesteps();
  }

  @Override
  public double initNoiseSigma() {
    return initNoiseSigma(path, spacing);
  }

  @Override
  public Tensor scaleModelInput(Arena arena, Tensor x, int i) {
    return WeightedSum.of(arena, new double[] {path.alpha(i)}, x);
  }

  @Override
  public Tensor step(
      Arena arena, Tensor modelOutput, Tensor x, int i, Supplier<Tensor> freshNoise) {
    Prediction.Mix way = slope(schedule, path.sigma(i)).times(path.sigma(i + 1) - path.sigma(i));
    return WeightedSum.of(arena, new double[] {1 + way.sample(), way.output()}, x, modelOutput);
  }
}
