package dreambooth4j.verify;

import dreambooth4j.config.MemoryConfig;
import dreambooth4j.config.MemoryConfig.Checkpointing;
import dreambooth4j.diffusion.NoiseSchedule;
import dreambooth4j.diffusion.Objective;
import dreambooth4j.diffusion.SchedulerConfig;
import dreambooth4j.engine.AdamW;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Parameters.Gradients;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Threads;
import dreambooth4j.model.UNet;
import dreambooth4j.model.UNetConfig;
import dreambooth4j.random.CounterRandom;
import dreambooth4j.train.TrainingStep;
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

  /**
   * How the step is computed.
   *
   * @param dtype of weights, gradients and activations
   * @param memory what is done to need less of it; checkpointing is not chosen automatically here
   */
  public record Manner(DType dtype, MemoryConfig memory) {
    /** In F32, keeping everything. */
    public static final Manner EXACT =
        new Manner(DType.F32, new MemoryConfig(Checkpointing.FALSE, false, false));
  }

  private static final long SEED = 1;

  /** Numbers drawn at once, an even number: so no weight needs an array of its size. */
  private static final long CHUNK = 1 << 16;

  private static final double PRIOR_LOSS_WEIGHT = 0.4;
  private static final double LEARNING_RATE = 1e-3;
  private static final AdamW.Settings ADAMW = new AdamW.Settings(0.9, 0.999, 1e-8, 1e-2);

  private final Arena run;
  private final UNetConfig config;
  private final Batch batch;
  private final TrainingStep step;
  private final AdamW optimizer;
  private final double maxGradNorm;

  /** As {@link #MadeUpTraining(Arena, UNetConfig, Batch, Manner)}, exactly. */
  public MadeUpTraining(Arena run, UNetConfig config, Batch batch) {
    this(run, config, batch, Manner.EXACT);
  }

  /** Weights and optimizer states are allocated in {@code run}. */
  public MadeUpTraining(Arena run, UNetConfig config, Batch batch, Manner manner) {
    this.run = run;
    this.config = config;
    this.batch = batch;
    MemoryConfig memory = manner.memory;
    Parameters parameters = new Parameters(manner.dtype);
    UNet unet = new UNet(config, parameters);
    parameters.allocate(run, memory.fusedBackwardPass() ? Gradients.PASSED_ON : Gradients.GATHERED);
    Threads.fit(parameters.count());
    for (Parameter each : parameters.all()) {
      fill(each);
    }
    parameters.copyMasters();
    NoiseSchedule schedule = NoiseSchedule.of(SchedulerConfig.parse("{}"));
    optimizer = new AdamW(run, ADAMW, List.of(parameters), memory.use8bitAdam());
    boolean checkpointing = memory.gradientCheckpointing() == Checkpointing.TRUE;
    step =
        new TrainingStep(
            unet,
            Objective.plain(schedule),
            0,
            new Tape.Saving(checkpointing, optimizer::updateArrived));
    maxGradNorm = memory.fusedBackwardPass() ? 0 : 1; // the norm comes too late for clipping
  }

  /** Norms scale by 1, biases add 0, the rest keeps the variance of what goes in. */
  private static void fill(Parameter parameter) {
    long[] shape = parameter.fileShape();
    if (parameter.name().endsWith(".bias")) {
      return;
    }
    CounterRandom random = CounterRandom.at(SEED, parameter.name(), 0, 0);
    float scale = (float) Math.sqrt((double) shape[0] / parameter.count());
    float[] values = new float[(int) Math.min(CHUNK, parameter.count())];
    for (long from = 0; from < parameter.count(); from += CHUNK) {
      int n = (int) Math.min(CHUNK, parameter.count() - from);
      random.normal(values, 0, n);
      for (int i = 0; i < n; i++) {
        values[i] = shape.length == 1 ? 1 : values[i] * scale;
      }
      parameter
          .master()
          .bytes(from * Float.BYTES, n * Float.BYTES)
          .asFloatBuffer()
          .put(values, 0, n);
    }
  }

  /** Takes one step; what it makes on the way is freed. The loss before it. */
  public double step() {
    int rows = 2 * batch.pairs;
    optimizer.begin(LEARNING_RATE);
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
      optimizer.update(LEARNING_RATE, maxGradNorm, 1);
      return losses.total();
    }
  }

  private static Tensor normal(Arena arena, String what, long... shape) {
    float[] values = new float[Math.toIntExact(Tensor.count(shape))];
    CounterRandom.at(SEED, what, 0, 0).normal(values, 0, values.length);
    return arena.floats(what, values, shape);
  }
}
