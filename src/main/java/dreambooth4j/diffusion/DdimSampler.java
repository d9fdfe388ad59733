package dreambooth4j.diffusion;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.WeightedSum;
import java.util.function.Supplier;

/**
 * DDIM without fresh noise (Song et al., 2021, equation 12 with η = 0): each step keeps the picture
 * and the noise that the network sees, at a lower noise level.
 */
final class DdimSampler implements Sampler {
  private final SchedulerConfig config;
  private final NoiseSchedule schedule;
  private final Spacing spacing;
  private final FinalAlpha alphas;
  private double[] timesteps = {};

  DdimSampler(SchedulerConfig config) {
    if (config.flag("clip_sample", true)) {
      throw config.unsupported("clip_sample");
    }
    this.config = config;
    this.schedule = NoiseSchedule.of(config);
    this.spacing = Spacing.of(config, Spacing.LEADING);
    this.alphas = new FinalAlpha(schedule, config.flag("set_alpha_to_one", true));
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
    double stride = Math.floorDiv(schedule.timesteps(), timesteps.length);
    Prediction.Mix mix =
        schedule.prediction().transfer(alphas.at(timesteps[i]), alphas.at(timesteps[i] - stride));
    return WeightedSum.of(arena, new double[] {mix.sample(), mix.output()}, x, modelOutput);
  }
}
