package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.config.LrScheduler;
import dreambooth4j.config.OptimizerConfig;

/** The learning rate of each step, by the rules and names of diffusers' {@code get_scheduler}. */
public final class LearningRate {
  /** Where diffusers' polynomial rule ends. */
  private static final double POLYNOMIAL_END = 1e-7;

  private final OptimizerConfig config;
  private final int steps;

  /**
   * A run of so many steps.
   *
   * @throws Problem when polynomial is to fall from where it ends, or from below
   */
  public LearningRate(OptimizerConfig config, int steps) {
    if (config.lrScheduler() == LrScheduler.POLYNOMIAL && config.learningRate() <= POLYNOMIAL_END) {
      throw Problem.usage(
          "learning_rate %s: lr_scheduler polynomial falls to %s, so begin above it"
              .formatted(config.learningRate(), POLYNOMIAL_END));
    }
    this.config = config;
    this.steps = steps;
  }

  /** The learning rate of a step, counted from 0. */
  public double at(int step) {
    return config.learningRate() * factor(step);
  }

  private double factor(int step) {
    int warmup = config.lrWarmupSteps();
    return switch (config.lrScheduler()) {
      case CONSTANT -> 1;
      case CONSTANT_WITH_WARMUP -> step < warmup ? warming(step) : 1;
      case LINEAR -> step < warmup ? warming(step) : Math.max(0, 1 - progress(step));
      case COSINE -> step < warmup ? warming(step) : halfCosine(progress(step));
      case COSINE_WITH_RESTARTS -> step < warmup ? warming(step) : restarting(progress(step));
      case POLYNOMIAL -> step < warmup ? warming(step) : polynomial(progress(step));
    };
  }

  private double warming(int step) {
    return step / Math.max(1.0, config.lrWarmupSteps());
  }

  /** 0 after the warm-up, 1 at the end. */
  private double progress(int step) {
    return (step - config.lrWarmupSteps()) / Math.max(1.0, steps - config.lrWarmupSteps());
  }

  private static double halfCosine(double progress) {
    return Math.max(0, 0.5 * (1 + Math.cos(Math.PI * progress)));
  }

  private double restarting(double progress) {
    return progress >= 1 ? 0 : halfCosine(config.lrNumCycles() * progress % 1);
  }

  private double polynomial(double progress) {
    double end = POLYNOMIAL_END / config.learningRate();
    return progress >= 1 ? end : (1 - end) * Math.pow(1 - progress, config.lrPower()) + end;
  }
}
