package dreambooth4j.verify;

import dreambooth4j.diffusion.NoiseSchedule;
import dreambooth4j.diffusion.Objective;
import dreambooth4j.diffusion.SchedulerConfig;
import dreambooth4j.engine.AdamW;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Threads;
import dreambooth4j.model.UNet;
import dreambooth4j.model.UNetConfig;
import dreambooth4j.random.CounterRandom;
import dreambooth4j.train.TrainingStep;
import java.util.Arrays;
import java.util.List;

/**
 * The product's own training steps with a random UNet on one made-up pair of 8×8 latents, over and
 * over: they need no file, and the loss must fall.
 */
public final class SmallTraining {
  private static final long SEED = 1;
  private static final int ROWS = 2;
  private static final int SIDE = 8;
  private static final int TOKENS = 7;
  private static final double PRIOR_LOSS_WEIGHT = 0.4;
  private static final double LEARNING_RATE = 1e-3;
  private static final AdamW.Settings ADAMW = new AdamW.Settings(0.9, 0.999, 1e-8, 1e-2);

  private final Arena run;
  private final UNetConfig config;
  private final TrainingStep step;
  private final AdamW optimizer;

  /** Weights and optimizer states are allocated in {@code run}. */
  public SmallTraining(Arena run, UNetConfig config) {
    this.run = run;
    this.config = config;
    Parameters parameters = new Parameters(DType.F32);
    UNet unet = new UNet(config, parameters);
    parameters.allocate(run, true);
    Threads.fit(parameters.count());
    for (Parameter each : parameters.all()) {
      each.weight().copyFrom(firstValues(each));
    }
    NoiseSchedule schedule = NoiseSchedule.of(SchedulerConfig.parse("{}"));
    step = new TrainingStep(unet, Objective.plain(schedule), 0);
    optimizer = new AdamW(run, ADAMW, List.of(parameters));
  }

  /** Norms scale by 1, biases add 0, the rest keeps the variance of what goes in. */
  private static float[] firstValues(Parameter parameter) {
    float[] values = new float[Math.toIntExact(parameter.count())];
    if (parameter.name().endsWith(".bias")) {
      return values;
    }
    long[] shape = parameter.fileShape();
    if (shape.length == 1) {
      Arrays.fill(values, 1);
      return values;
    }
    CounterRandom.at(SEED, parameter.name(), 0, 0).normal(values, 0, values.length);
    float scale = (float) Math.sqrt((double) shape[0] / values.length);
    for (int i = 0; i < values.length; i++) {
      values[i] *= scale;
    }
    return values;
  }

  /** Takes one step; what it makes on the way is freed. The loss before it. */
  public double step() {
    try (Arena batch = run.child("batch")) {
      Tensor latents = normal(batch, "latents", ROWS, SIDE, SIDE, config.inChannels());
      Tensor prompts = normal(batch, "prompts", ROWS, TOKENS, config.crossAttentionDim());
      TrainingStep.Losses losses =
          step.gather(
              batch,
              new TrainingStep.Rows(latents, tape -> tape.constant(prompts), ROWS / 2),
              new TrainingStep.Draws(
                  normal(batch, "noise", latents.shape()), new long[] {300, 700}, null),
              PRIOR_LOSS_WEIGHT,
              1);
      TrainingStep.update(optimizer, LEARNING_RATE, 1);
      return losses.total();
    }
  }

  private static Tensor normal(Arena arena, String what, long... shape) {
    float[] values = new float[Math.toIntExact(Tensor.count(shape))];
    CounterRandom.at(SEED, what, 0, 0).normal(values, 0, values.length);
    return arena.floats(what, values, shape);
  }
}
