package dreambooth4j.train;

import dreambooth4j.config.EmaConfig;
import dreambooth4j.config.LoraConfig;
import dreambooth4j.config.LrConfig;
import dreambooth4j.config.MemoryConfig;
import dreambooth4j.config.MemoryConfig.Checkpointing;
import dreambooth4j.config.OptimizerConfig;
import dreambooth4j.config.OptimizerName;
import dreambooth4j.diffusion.NoiseSchedule;
import dreambooth4j.diffusion.SchedulerConfig;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Optimizer;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Parameters.Gradients;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Threads;
import dreambooth4j.engine.kernel.Recorder;
import dreambooth4j.model.AdapterKind;
import dreambooth4j.model.Adapters;
import dreambooth4j.model.Conditioning;
import dreambooth4j.model.UNet;
import dreambooth4j.model.UNetConfig;
import dreambooth4j.random.CounterRandom;
import dreambooth4j.weights.Component;
import java.nio.FloatBuffer;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/**
 * The product's own training steps with a random UNet on made-up latents and prompts, the same over
 * and over: they need no file, and the loss must fall. On CUDA the optimizer is the device's, as in
 * a run.
 */
public final class MadeUpTraining implements AutoCloseable {
  /**
   * What is learnt from, half of it instances and half of it class images.
   *
   * @param pairs instance rows, each with a prior row
   * @param side of the square latents
   * @param tokens of a prompt
   */
  public record Sizes(int pairs, int side, int tokens) {}

  /**
   * How the step is computed.
   *
   * @param dtype of weights, gradients and activations
   * @param memory what is done to need less of it; checkpointing is not chosen automatically here
   * @param maxGradNorm what the gradients are clipped to; 0 for no clipping, which gradients that
   *     are passed on always want
   * @param rank of adapters on attention, which train then while the rest stays; 0 trains all
   */
  public record Manner(
      DType dtype, MemoryConfig memory, double learningRate, double maxGradNorm, int rank) {
    /** In F32, keeping everything. */
    public static final Manner EXACT =
        new Manner(DType.F32, new MemoryConfig(Checkpointing.FALSE, false, false));

    /** With the learning rate and the clipping that benches time. */
    public Manner(DType dtype, MemoryConfig memory) {
      this(dtype, memory, 1e-3, memory.fusedBackwardPass() ? 0 : 1, 0);
    }

    /** The same with adapters. */
    public Manner withRank(int other) {
      return new Manner(dtype, memory, learningRate, maxGradNorm, other);
    }

    private OptimizerConfig optimizer() {
      return new OptimizerConfig(
          OptimizerName.standard(),
          learningRate,
          null,
          null,
          false,
          LrConfig.CONSTANT,
          0.9,
          0.999,
          1e-2,
          1e-8,
          maxGradNorm,
          Map.of());
    }
  }

  private static final long SEED = 1;

  /** Numbers drawn at once: so no weight needs an array of its size. */
  private static final int CHUNK = 1 << 16;

  private static final double PRIOR_LOSS_WEIGHT = 0.4;

  private final Sizes batch;
  private final Training training;
  private final double learningRate;
  private final Tensor latents;
  private final Conditioning<Tensor> told;
  private int done;

  /** As {@link #MadeUpTraining(Arena, UNetConfig, Sizes, Manner)}, exactly. */
  public MadeUpTraining(Arena run, UNetConfig config, Sizes batch) {
    this(run, config, batch, Manner.EXACT);
  }

  /** Weights, optimizer states, latents and prompts are allocated in {@code run}. */
  public MadeUpTraining(Arena run, UNetConfig config, Sizes batch, Manner manner) {
    this.batch = batch;
    MemoryConfig memory = manner.memory;
    Gradients wanted = memory.fusedBackwardPass() ? Gradients.PASSED_ON : Gradients.GATHERED;
    boolean lora = manner.rank > 0;
    Parameters own = new Parameters(manner.dtype);
    Parameters trained = lora ? new Parameters(manner.dtype) : own;
    LoraConfig sizes = LoraConfig.attention(manner.rank);
    Adapters adapters =
        lora
            ? new Adapters(trained, AdapterKind.LORA, Adaptation.sizes(sizes, Component.UNET))
            : Adapters.NONE;
    UNet unet = new UNet(config, own, adapters);
    own.allocate(run, lora ? Gradients.NONE : wanted);
    if (lora) {
      trained.allocate(run, wanted);
    }
    Threads.fit(own.count());
    if (!run.isDry()) {
      own.all().forEach(each -> fill(run, each));
      adapters.begin(run, SEED);
    }
    own.copyMasters();
    NoiseSchedule schedule = NoiseSchedule.of(SchedulerConfig.parse("{}"));
    training =
        Training.assemble(
            run,
            new LearningModel(unet, null, schedule, Optimizer.Group.alike(List.of(trained))),
            new Recipe(manner.optimizer(), memory, EmaConfig.NONE, LossRecipe.PLAIN, SEED));
    learningRate = manner.learningRate;
    int rows = 2 * batch.pairs;
    latents = normal(run, "latents", rows, batch.side, batch.side, config.inChannels());
    told = config.conditioning(rows, batch.tokens).map((name, shape) -> normal(run, name, shape));
  }

  /** Norms scale by 1, biases add 0, the rest keeps the variance of what goes in. */
  private static void fill(Arena arena, Parameter parameter) {
    Tensor master = parameter.master();
    if (parameter.name().endsWith(".bias")) {
      return;
    }
    if (master.dtype() == DType.F32) {
      draw(parameter, master);
      return;
    }
    Tensor drawn = arena.allocate(parameter.name(), DType.F32, master.shape());
    draw(parameter, drawn);
    master.copyFrom(drawn);
    drawn.release();
  }

  private static void draw(Parameter parameter, Tensor to) {
    long[] shape = parameter.fileShape();
    float scale = (float) Math.sqrt((double) shape[0] / parameter.count());
    to.writeBytes(
        (bytes, offset) -> {
          FloatBuffer floats = bytes.asFloatBuffer();
          int first = Math.toIntExact(offset / Float.BYTES / CHUNK);
          IntStream.rangeClosed(0, (floats.limit() - 1) / CHUNK)
              .parallel()
              .forEach(
                  chunk -> {
                    int from = chunk * CHUNK;
                    float[] values = new float[Math.min(CHUNK, floats.limit() - from)];
                    CounterRandom.at(SEED, parameter.name(), 0, first + chunk)
                        .normal(values, 0, values.length);
                    for (int i = 0; i < values.length; i++) {
                      values[i] = shape.length == 1 ? 1 : values[i] * scale;
                    }
                    floats.put(from, values);
                  });
        });
  }

  /**
   * From here on steps are recorded and replayed as those of a run are; the recorder is closed with
   * this. There must be kernels: on CUDA they are, unless they were switched off.
   *
   * @throws dreambooth4j.Problem in the second step, if it cannot be recorded
   */
  public void capture(Recorder recorder) {
    training.capture(recorder, true, note -> {});
  }

  /** Takes one step; what it makes on the way is freed. The loss before it. */
  public double step() {
    return training
        .step(new StepSettings(done++, learningRate, PRIOR_LOSS_WEIGHT, 1, 0), List.of(this::batch))
        .losses()
        .total();
  }

  /** The same noise and timesteps each time, so that the loss falls. */
  private TrainingBatch batch(Arena arena) {
    int rows = 2 * batch.pairs;
    long[] timesteps = LongStream.range(0, rows).map(row -> 300 + 400 * row / (rows - 1)).toArray();
    Tensor noise = normal(arena, "noise", latents.shape());
    return TrainingBatch.of(
        latents, told, batch.pairs, new TrainingBatch.Given(noise, timesteps, null));
  }

  /** Frees what was recorded; the rest is the arena's. */
  @Override
  public void close() {
    training.close();
  }

  private static Tensor normal(Arena arena, String what, long... shape) {
    float[] values = new float[Math.toIntExact(Tensor.count(shape))];
    CounterRandom.at(SEED, what, 0, 0).normal(values, 0, values.length);
    return arena.floats(what, values, shape);
  }
}
