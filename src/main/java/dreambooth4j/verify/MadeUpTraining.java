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
import java.util.stream.LongStream;

/**
 * The product's own training steps with a random UNet on made-up latents and prompts, the same over
 * and over: they need no file, and the loss must fall.
 */
public final class MadeUpTraining {
  /**
   * What is learnt from, half of it instances and half of it class images.
   *
   * @param pairs instance rows, each with a prior row
   * @param side of the square latents
   * @param tokens of a prompt
   */
  public record Batch(int pairs, int side, int tokens) {}

  private static final long SEED = 1;
  private static final double PRIOR_LOSS_WEIGHT = 0.4;
  private static final double LEARNING_RATE = 1e-3;
  private static final AdamW.Settings ADAMW = new AdamW.Settings(0.9, 0.999, 1e-8, 1e-2);

  private final Arena run;
  private final UNetConfig config;
  private final Batch batch;
  private final TrainingStep step;
  private final AdamW optimizer;

  /** Weights and optimizer states are allocated in {@code run}. */
  public MadeUpTraining(Arena run, UNetConfig config, Batch batch) {
    this.run = run;
    this.config = config;
    this.batch = batch;
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
    int rows = 2 * batch.pairs;
    try (Arena arena = run.child("batch")) {
      Tensor latents = normal(arena, "latents", rows, batch.side, batch.side, config.inChannels());
      Tensor prompts = normal(arena, "prompts", rows, batch.tokens, config.crossAttentionDim());
      long[] timesteps =
          LongStream.range(0, rows).map(row -> 300 + 400 * row / (rows - 1)).toArray();
      TrainingStep.Losses losses =
          step.gather(
              arena,
              new TrainingStep.Rows(latents, tape -> tape.constant(prompts), batch.pairs),
              new TrainingStep.Draws(normal(arena, "noise", latents.shape()), timesteps, null),
              PRIOR_LOSS_WEIGHT,
              1);
      optimizer.update(LEARNING_RATE, 1, 1);
      return losses.total();
    }
  }

  private static Tensor normal(Arena arena, String what, long... shape) {
    float[] values = new float[Math.toIntExact(Tensor.count(shape))];
    CounterRandom.at(SEED, what, 0, 0).normal(values, 0, values.length);
    return arena.floats(what, values, shape);
  }
}
