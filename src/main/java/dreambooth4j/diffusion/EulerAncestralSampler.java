package dreambooth4j.diffusion;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.WeightedSum;
import java.util.function.Supplier;

/**
 * Euler's method that goes below the next noise level and comes back up to it with fresh noise, as
 * much as the trained chain would draw.
 */
final class EulerAncestralSampler implements Sampler {
  private final SchedulerConfig config;
  private final NoiseSchedule schedule;
  private final Spacing spacing;
  private SigmaPath path = SigmaPath.none();

  EulerAncestralSampler(SchedulerConfig config) {
    this.config = config;
    this.schedule = NoiseSchedule.of(config);
    this.spacing = Spacing.of(config, Spacing.LINSPACE);
  }

  @Override
  public void begin(int steps) {
    path = EulerSampler.trainedPath(config, schedule, spacing, steps, 0);
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
    double from = path.sigma(i);
    double to = path.sigma(i + 1);
    double up = to / from * Math.sqrt(from * from - to * to);
    double down = to * to / from;
    Prediction.Mix way = EulerSampler.slope(schedule, from).times(down - from);
    // The last step adds none, but draws, so that the generator ends where diffusers' ends.
    Tensor noise = freshNoise.get();
    Tensor drawn =
        WeightedSum.of(
            arena, new double[] {1 + way.sample(), way.output(), up}, x, modelOutput, noise);
    noise.release();
    return drawn;
  }
}
