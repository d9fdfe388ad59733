package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.config.LrConfig;
import dreambooth4j.config.LrScheduler;

/** The learning rate of each step, by the rules that {@link LrScheduler} names. */
public final class LearningRate {
  /** Where diffusers' polynomial rule ends. */
  private static final double POLYNOMIAL_END = 1e-7;

  /** Of inverse_sqrt without a warm-up. */
  private static final int USUAL_TIMESCALE = 10_000;

  /** How late REX falls. */
  private static final double REX = 0.9;

  private final LrConfig config;
  private final double rate;
  private final int steps;

  /**
   * A run of so many steps.
   *
   * @param rate the learning rate after the warm-up
   * @throws Problem when polynomial is to fall from where it ends, or from below
   */
  public LearningRate(LrConfig config, double rate, int steps) {
    if (config.scheduler() == LrScheduler.POLYNOMIAL && rate <= POLYNOMIAL_END) {
      throw Problem.usage(
          "learning_rate %s: lr_scheduler polynomial falls to %s, so begin above it"
              .formatted(rate, POLYNOMIAL_END));
    }
    this.config = config;
    this.rate = rate;
    this.steps = steps;
  }

  /** The learning rate of a step, counted from 0. */
  public double at(int step) {
    return rate * factor(step);
  }

  private double factor(int step) {
    int warmup = config.warmupSteps();
    return switch (config.scheduler()) {
      case CONSTANT -> 1;
      case PIECEWISE_CONSTANT -> piecewise(step);
      case WARMUP_STABLE_DECAY -> floored(step < warmup ? warming(step) : decaying(step));
      default -> step < warmup ? warming(step) : floored(falling(step));
    };
  }

  private double falling(int step) {
    double progress = progress(step);
    return switch (config.scheduler()) {
      case LINEAR -> Math.max(0, 1 - progress);
      case COSINE -> cosine(progress);
      case COSINE_WITH_RESTARTS -> progress >= 1 ? 0 : cosine(config.numCycles() * progress % 1);
      case COSINE_WITH_SOFT_RESTARTS -> cosine(2 * config.numCycles() * progress);
      case POLYNOMIAL -> polynomial(progress);
      case REX -> progress >= 1 ? 0 : (1 - progress) / (1 - REX + REX * (1 - progress));
      case INVERSE_SQRT -> inverseRoot(step);
      default -> 1;
    };
  }

  private double floored(double factor) {
    return config.minRatio() + (1 - config.minRatio()) * factor;
  }

  private double warming(int step) {
    return step / Math.max(1.0, config.warmupSteps());
  }

  /** 0 after the warm-up, 1 at the end. */
  private double progress(int step) {
    return (step - config.warmupSteps()) / Math.max(1.0, steps - config.warmupSteps());
  }

  private static double cosine(double progress) {
    return Math.max(0, 0.5 * (1 + Math.cos(Math.PI * progress)));
  }

  private double polynomial(double progress) {
    double end = POLYNOMIAL_END / rate;
    return progress >= 1 ? end : (1 - end) * Math.pow(1 - progress, config.power()) + end;
  }

  private double inverseRoot(int step) {
    Integer given = config.timescale();
    int usual = config.warmupSteps() == 0 ? USUAL_TIMESCALE : config.warmupSteps();
    double timescale = given == null ? usual : given;
    return 1 / Math.sqrt((step + timescale - config.warmupSteps()) / timescale);
  }

  private double decaying(int step) {
    double into = step - (steps - config.decaySteps());
    return into < 0 ? 1 : into >= config.decaySteps() ? 0 : cosine(into / config.decaySteps());
  }

  private double piecewise(int step) {
    String[] rules = config.stepRules().split(",", -1);
    for (int i = 0; i < rules.length - 1; i++) {
      int colon = rules[i].indexOf(':');
      if (step < Integer.parseInt(rules[i].substring(colon + 1))) {
        return Double.parseDouble(rules[i].substring(0, colon));
      }
    }
    return Double.parseDouble(rules[rules.length - 1]);
  }
}
