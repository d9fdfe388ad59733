package dreambooth4j.diffusion;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.WeightedSum;
import java.util.function.Supplier;

/**
 * Ancestral sampling (Ho et al., 2020, equation 7): each step draws from the distribution of the
 * next sample given this one and the picture that the network sees.
 */
final class DdpmSampler implements Sampler {
  private final SchedulerConfig config;
  private final NoiseSchedule schedule;
  private final Spacing spacing;
  private final FinalAlpha alphas;
  private final boolean largeVariance;
  private double[] timesteps = {};

  DdpmSampler(SchedulerConfig config) {
    if (config.flag("clip_sample", true)) {
      throw config.unsupported("clip_sample");
    }
    this.config = config;
    this.schedule = NoiseSchedule.of(config);
    this.spacing = Spacing.of(config, Spacing.LEADING);
    this.alphas = new FinalAlpha(schedule, true);
    this.largeVariance =
        switch (config.text("variance_type", "fixed_small")) {
          case "fixed_small", "fixed_small_log" -> false;
          case "fixed_large" -> true;
          default -> throw config.unsupported("variance_type");
        };
  }

  @Override
  public void begin(int steps) {
    timesteps = spacing.wholeTimesteps(config, schedule, steps, 0);
    alphas.requireAll(timesteps);
  }

  @Override
  public double[] timesteps() {
    return timesteps.clone();
  }

  @Override
  public Tensor step(
      Arena arena, Tensor modelOutput, Tensor x, int i, Supplier<Tensor> freshNoise) {
    double now = alphas.at(timesteps[i]);
    double next = alphas.at(i + 1 < timesteps.length ? timesteps[i + 1] : -1);
    double ratio = now / next;
    double beta = 1 - ratio;
    double ofPicture = Math.sqrt(next) * beta / (1 - now);
    double ofSample = Math.sqrt(ratio) * (1 - next) / (1 - now);
    Prediction.Mix mean =
        schedule
            .prediction()
            .picture(Math.sqrt(now), Math.sqrt(1 - now))
            .times(ofPicture)
            .plus(new Prediction.Mix(ofSample, 0));
    if (timesteps[i] == 0) {
      return WeightedSum.of(arena, new double[] {mean.sample(), mean.output()}, x, modelOutput);
    }
    double variance = largeVariance ? beta : Math.max((1 - next) / (1 - now) * beta, 1e-20);
    Tensor noise = freshNoise.get();
    Tensor drawn =
        WeightedSum.of(
            arena,
            new double[] {mean.sample(), mean.output(), Math.sqrt(variance)},
            x,
            modelOutput,
            noise);
    noise.release();
    return drawn;
  }
}
