package dreambooth4j.diffusion;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.WeightedSum;
import java.util.function.Supplier;

/** A linear multistep method of order 4 (Adams and Bashforth) over the noise level. */
final class LmsSampler implements Sampler {
  private static final int ORDER = 4;

  /** Where Gauss' rule of two points, exact for what is integrated here, takes its values. */
  private static final double POINT = 1 / Math.sqrt(3);

  private final SchedulerConfig config;
  private final NoiseSchedule schedule;
  private final Spacing spacing;
  private final History slopes = new History(ORDER);
  private SigmaPath path = SigmaPath.none();

  LmsSampler(SchedulerConfig config) {
    SigmaPath.refuseOthers(config);
    this.config = config;
    this.schedule = NoiseSchedule.of(config);
    this.spacing = Spacing.of(config, Spacing.LINSPACE);
  }

  @Override
  public void begin(int steps) {
    close();
    path = EulerSampler.path(config, schedule, spacing, steps, 0, t -> (float) t);
  }

  @Override
  public double[] timesteps() {
    return path.timesteps();
  }

  @Override
  public double initNoiseSigma() {
    return EulerSampler.initNoiseSigma(path, spacing);
  }

  @Override
  public Tensor scaleModelInput(Arena arena, Tensor x, int i) {
    return WeightedSum.of(arena, new double[] {path.alpha(i)}, x);
  }

  @Override
  public Tensor step(
      Arena arena, Tensor modelOutput, Tensor x, int i, Supplier<Tensor> freshNoise) {
    Prediction.Mix slope = EulerSampler.slope(schedule, path.sigma(i));
    slopes.add(
        WeightedSum.of(arena, new double[] {slope.sample(), slope.output()}, x, modelOutput));
    int order = Math.min(i + 1, ORDER);
    double[] weights = new double[order + 1];
    Tensor[] terms = new Tensor[order + 1];
    weights[0] = 1;
    terms[0] = x;
    for (int back = 0; back < order; back++) {
      weights[back + 1] = integral(i, back, order);
      terms[back + 1] = slopes.get(back);
    }
    return WeightedSum.of(arena, weights, terms);
  }

  /** Of Lagrange's polynomial that is 1 at the level {@code back} steps ago, over the step. */
  private double integral(int step, int back, int order) {
    double middle = (path.sigma(step) + path.sigma(step + 1)) / 2;
    double half = (path.sigma(step + 1) - path.sigma(step)) / 2;
    double sum = 0;
    for (double point : new double[] {-POINT, POINT}) {
      double product = 1;
      for (int k = 0; k < order; k++) {
        if (k != back) {
          double other = path.sigma(step - k);
          product *= (middle + half * point - other) / (path.sigma(step - back) - other);
        }
      }
      sum += product;
    }
    return half * sum;
  }

  @Override
  public void close() {
    slopes.clear();
  }
}
