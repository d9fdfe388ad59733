package dreambooth4j.diffusion;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.WeightedSum;
import java.util.function.Supplier;

/**
 * Sampling of latent consistency models (Luo et al., 2023): at each step the picture that the
 * network sees, and fresh noise on it. For models and LoRAs that were distilled to it, in 4 to 8
 * steps.
 */
final class LcmSampler implements Sampler {
  /** The spread of pictures that such models are distilled with. */
  private static final double DATA = 0.5;

  private final NoiseSchedule schedule;
  private final int originalSteps;
  private final double scaling;
  private double[] timesteps = {};

  LcmSampler(SchedulerConfig config) {
    if (config.flag("clip_sample", false)) {
      throw config.unsupported("clip_sample");
    }
    this.schedule = NoiseSchedule.of(config);
    this.originalSteps = config.integer("original_inference_steps", 50);
    this.scaling = config.number("timestep_scaling", 10);
    if (originalSteps < 1 || originalSteps > schedule.timesteps()) {
      throw config.unsupported("original_inference_steps");
    }
  }

  @Override
  public void begin(int steps) {
    int all = schedule.timesteps();
    if (steps < 1 || steps > all) {
      throw Problem.usage("steps must be from 1 to %d, found %d".formatted(all, steps));
    }
    if (steps > originalSteps) {
      throw Problem.usage(
          "lcm takes at most %d steps, found %d; 4 to 8 are usual".formatted(originalSteps, steps));
    }
    timesteps = new double[steps];
    for (int i = 0; i < steps; i++) {
      int fromTop = (int) Math.floor(i * ((double) originalSteps / steps));
      timesteps[i] = (originalSteps - fromTop) * (all / originalSteps) - 1;
    }
  }

  @Override
  public double[] timesteps() {
    return timesteps.clone();
  }

  @Override
  public Tensor step(
      Arena arena, Tensor modelOutput, Tensor x, int i, Supplier<Tensor> freshNoise) {
    double alphaBar = schedule.alphaBar((long) timesteps[i]);
    double t = timesteps[i] * scaling;
    double skip = DATA * DATA / (t * t + DATA * DATA);
    double out = t / Math.sqrt(t * t + DATA * DATA);
    Prediction.Mix picture =
        schedule
            .prediction()
            .picture(Math.sqrt(alphaBar), Math.sqrt(1 - alphaBar))
            .times(out)
            .plus(new Prediction.Mix(skip, 0));
    if (i == timesteps.length - 1) {
      return WeightedSum.of(
          arena, new double[] {picture.sample(), picture.output()}, x, modelOutput);
    }
    double next = schedule.alphaBar((long) timesteps[i + 1]);
    Prediction.Mix kept = picture.times(Math.sqrt(next));
    Tensor noise = freshNoise.get();
    Tensor drawn =
        WeightedSum.of(
            arena,
            new double[] {kept.sample(), kept.output(), Math.sqrt(1 - next)},
            x,
            modelOutput,
            noise);
    noise.release();
    return drawn;
  }
}
