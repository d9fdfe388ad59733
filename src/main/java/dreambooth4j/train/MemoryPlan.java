package dreambooth4j.train;

import dreambooth4j.config.BucketConfig.Remainder;
import dreambooth4j.config.ComputeConfig;
import dreambooth4j.config.ComputeConfig.CudaGraph;
import dreambooth4j.config.Config;
import dreambooth4j.config.MemoryConfig;
import dreambooth4j.data.Bucket;
import dreambooth4j.data.Concept;
import dreambooth4j.data.Picture;
import dreambooth4j.distributed.Ranks;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.WholeStates;
import dreambooth4j.engine.kernel.Kernels;
import dreambooth4j.engine.op.OpBackend;
import dreambooth4j.model.Conditioning;
import dreambooth4j.pipeline.PictureMemory;
import dreambooth4j.pipeline.PromptEncoder;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.pipeline.TextEncoding;
import dreambooth4j.prior.ClassImagePlan;
import dreambooth4j.prior.PriorPools;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.Group;
import dreambooth4j.weights.ModelSource;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;

/**
 * What training will hold at once at most, in bytes, known before it holds any: the step that
 * trains is run in a dry arena, on the largest batch of the run. No weights are read; the
 * config.json files decide every size.
 *
 * @param device where it will be held
 * @param compute what it is computed in
 * @param memory the options that it was made for
 * @param weights of what trains, as it is computed with
 * @param masters F32 weights beside those of 16 bits
 * @param gradients gathered; those that are passed on are among the activations
 * @param optimizer what the optimizer remembers of each weight
 * @param average F32 weights that are the average of what trains, with use_ema
 * @param anchor the copy of the base model's weights that anchor_weight pulls towards
 * @param frozen weights that do not train
 * @param caches latents' moments of all pictures and, where the text encoder is frozen, prompts
 * @param activations what is alive at the step's peak, by the part of the model that made it
 * @param pictures what drawing samples, making class images anew or, where steps do, encoding a
 *     picture holds at its peak instead
 * @param gathered the optimizer's states of all ranks, with shard_optimizer: while rank 0 saves a
 *     checkpoint it holds them too, in its machine's own memory whatever the device; where that is
 *     the device's, with the pieces in which they are passed on (a GPU has room for these where the
 *     activations were)
 * @param preparing what drawing class images that are missing or encoding a picture holds at its
 *     peak, before there are an optimizer's states and averages
 * @param workspace what libtorch's own kernels hold besides: {@link #WORKSPACE_TENSORS}, {@link
 *     #CUBLAS_BYTES}
 * @param captured whether steps are captured: then a graph keeps the memory of its activations
 *     while pictures are drawn
 */
public record MemoryPlan(
    Device device,
    ComputeConfig compute,
    MemoryConfig memory,
    long weights,
    long masters,
    long gradients,
    long optimizer,
    long average,
    long anchor,
    long frozen,
    long caches,
    Map<String, Long> activations,
    long pictures,
    long preparing,
    long gathered,
    long workspace,
    boolean captured) {
  /**
   * A convolution's backward holds the weight's gradient as it was computed, and oneDNN both in an
   * order of its own: so many times the largest weight were measured.
   */
  static final int WORKSPACE_TENSORS = 3;

  /**
   * On CUDA cuDNN's workspaces are the arena's, at their most; cuBLAS and cuBLASLt have 32 MiB each
   * from libtorch at most.
   */
  static final long CUBLAS_BYTES = 64L << 20;

  /**
   * The largest batch of a run, and how much it remembers.
   *
   * @param rows instance and class pictures
   * @param pictures whose latents are kept in memory, and predictions of the base model
   * @param prompts whose hidden states are kept in memory
   * @param draws whether class images are missing: they are drawn before the first step, one at a
   *     time where memory allows no more
   * @param encodes whether pictures are encoded anew in each step
   * @param drawn class images that the base model draws at once while it trains; one where it draws
   *     more only as memory allows
   */
  public record Load(
      Bucket bucket,
      int rows,
      int pictures,
      int prompts,
      boolean draws,
      boolean encodes,
      DrawnAtOnce drawn) {
    static Load of(Config config, List<Concept> concepts, ClassImagePlan plan) {
      return of(config, concepts, plan, config.training().trainBatchSize());
    }

    /** Of a process that computes so many pairs at once. */
    static Load of(Config config, List<Concept> concepts, ClassImagePlan plan, int atOnce) {
      List<Picture> pictures = concepts.stream().flatMap(c -> c.pictures().stream()).toList();
      Map<Bucket, Integer> sizes = new HashMap<>();
      pictures.forEach(each -> sizes.merge(each.bucket(), 1, Integer::sum));
      boolean filled = config.data().buckets().remainder() == Remainder.FILL;
      Bucket largest = pictures.get(0).bucket();
      int rows = 0;
      for (Map.Entry<Bucket, Integer> size : sizes.entrySet()) {
        int there = filled ? atOnce : Math.min(atOnce, size.getValue());
        if (pixels(size.getKey()) * there > pixels(largest) * rows) {
          largest = size.getKey();
          rows = there;
        }
      }
      boolean inMemory = config.output().cacheDir() == null;
      int classImages = plan.present() + plan.missing();
      return new Load(
          largest,
          classImages > 0 || config.prior().predicts() ? 2 * rows : rows,
          inMemory ? pictures.size() + classImages + predictions(config, concepts) : 0,
          inMemory ? 2 * pictures.size() : 0,
          plan.missing() > 0,
          pictures.stream().anyMatch(each -> each.crop().random()),
          config.prior().refreshEpochs() == 0 ? DrawnAtOnce.NOTHING : DrawnAtOnce.of(config, plan));
    }

    /** Those of the base model that are kept, each as large as a picture's moments. */
    private static int predictions(Config config, List<Concept> concepts) {
      return config.prior().remembers()
          ? concepts.stream().mapToInt(PriorPools::predictions).sum()
          : 0;
    }

    private static long pixels(Bucket bucket) {
      return (long) bucket.width() * bucket.height();
    }
  }

  /** So many pictures of one size, drawn at once. */
  public record DrawnAtOnce(Bucket size, int count) {
    static final DrawnAtOnce NOTHING = new DrawnAtOnce(new Bucket(0, 0), 0);

    /** The most that a concept, size and caption needs at once, by pixels. */
    static DrawnAtOnce of(Config config, ClassImagePlan plan) {
      int atOnce = Math.max(1, config.prior().sampleBatchSize());
      return plan.needs().stream()
          .map(need -> new DrawnAtOnce(need.pool().bucket(), Math.min(atOnce, need.needed())))
          .max(Comparator.comparingLong(each -> each.count * Load.pixels(each.size)))
          .orElse(NOTHING);
    }
  }

  /** What lives from the first step to the last. */
  public long always() {
    return weights + masters + gradients + optimizer + average + anchor + frozen + caches;
  }

  /** Tensors alive at the peak: all but the workspace. */
  public long tensors() {
    long between = device == Device.CPU ? Math.max(pictures, gathered) : pictures;
    long beside = captured ? activationBytes() + between : Math.max(activationBytes(), between);
    return Math.max(always() + beside, always() - optimizer - average - anchor + preparing);
  }

  /** All of it. */
  public long total() {
    return tensors() + workspace;
  }

  /** What a checkpoint needs of the machine's own memory where the run is on a GPU. */
  public long besideTheGpu() {
    return device == Device.CUDA ? gathered : 0;
  }

  /** What steps need where no pictures are drawn or encoded beside them. */
  public long ofSteps() {
    return always() + activationBytes() + workspace;
  }

  /** All activations at the step's peak. */
  public long activationBytes() {
    return activations.values().stream().mapToLong(Long::longValue).sum();
  }

  /** Plans a run on a device, which need not be there. */
  static MemoryPlan of(ModelSource base, Config config, Load load, Device device) {
    return of(base, config, load, device, 1);
  }

  /** As above, for the first of so many ranks: of those that shard its states it needs most. */
  static MemoryPlan of(ModelSource base, Config config, Load load, Device device, int ranks) {
    try (Arena run = Arena.open("plan", OpBackend.dry(device));
        StableDiffusion model = ModelToTrain.load(run, base, config)) {
      return new DryRun(run, base, config, model).plan(load, Ranks.planned(ranks));
    }
  }

  /** A model without content, and its step. */
  private static final class DryRun {
    private final Arena run;
    private final ModelSource base;
    private final Config config;
    private final MemoryConfig memory;
    private final StableDiffusion model;
    private final PromptEncoder prompts;

    DryRun(Arena run, ModelSource base, Config config, StableDiffusion model) {
      this.run = run;
      this.base = base;
      this.config = config;
      this.model = model;
      prompts = new PromptEncoder(model, TextEncoding.of(config.model()));
      memory = config.memory();
    }

    MemoryPlan plan(Load load, Ranks ranks) {
      boolean textTrains = config.promptsLearn();
      List<Parameters> trained = model.trained().stream().map(Group::parameters).toList();
      long weights = 0;
      long masters = 0;
      for (Parameters each : trained) {
        weights += bytes(each.weights());
        masters += each.hasMasters() ? bytes(each.masters()) : 0;
      }
      long gathered = memory.fusedBackwardPass() ? 0 : weights;
      long held = run.meter().liveBytes();
      run.meter().part(TrainingStep.BATCH);
      Training training = Training.assemble(run, model, config, ranks);
      long moments = training.optimizer().stateBytes();
      long average =
          trained.stream()
              .map(Parameters::average)
              .filter(Objects::nonNull)
              .mapToLong(Tensor::ownedBytes)
              .sum();
      long anchor = training.optimizer().anchorBytes();
      return new MemoryPlan(
          run.device(),
          config.compute(),
          memory,
          weights,
          masters,
          gathered,
          moments,
          average,
          anchor,
          held - weights - masters - gathered,
          caches(load, textTrains),
          step(load, training, moments + average + anchor, textTrains),
          drawing(load),
          preparing(load),
          WholeStates.bytes(run, training.optimizer()),
          run.device() == Device.CUDA ? CUBLAS_BYTES : WORKSPACE_TENSORS * largest(),
          captures(ranks.size()));
    }

    private boolean captures(int ranks) {
      return config.compute().cudaGraph() != CudaGraph.FALSE
          && CapturedStep.refusal(config, run.device(), ranks, Kernels.of(run) != null) == null;
    }

    private static long bytes(Tensor tensor) {
      return tensor.count() * tensor.dtype().bytes();
    }

    /** The largest convolution of a step, whether it trains or not. */
    private long largest() {
      return Stream.concat(
              model.trained().stream().map(Group::parameters),
              Stream.of(model.parameters(Component.UNET)))
          .flatMap(group -> group.all().stream().map(each -> convolution(group, each)))
          .max(Comparator.naturalOrder())
          .orElse(0L);
    }

    private static long convolution(Parameters group, Parameter weight) {
      return weight.fileShape().length == 4 ? weight.count() * group.dtype().bytes() : 0L;
    }

    private long caches(Load load, boolean textTrains) {
      long picture = 2 * latentElements(load) * DType.F32.bytes();
      long prompt =
          prompts.shapes(1).named().values().stream().mapToLong(Tensor::count).sum()
              * DType.F32.bytes();
      return load.pictures * picture + (textTrains ? 0 : load.prompts * prompt);
    }

    private long latentElements(Load load) {
      int factor = model.vae().config().factor();
      return (long) (load.bucket.height() / factor)
          * (load.bucket.width() / factor)
          * model.vae().config().latentChannels();
    }

    private long drawing(Load load) {
      boolean remembers = config.output().cacheDir() != null || memory.unloadFrozen();
      boolean resumes = config.output().resumeFromCheckpoint() != null;
      boolean encodes = load.encodes || resumes || !remembers;
      long encoding = encodes ? pictures().encoding(load.bucket) : 0;
      return Math.max(
          encoding,
          Math.max(SamplePictures.bytes(config, model, pictures()), freshClassImages(load)));
    }

    private long preparing(Load load) {
      long missing = load.draws ? pictures().drawing(load.bucket, 1, true) : 0;
      return Math.max(pictures().encoding(load.bucket), missing);
    }

    /** The base model in frozen_dtype, and as many of its pictures at once as have to be. */
    private long freshClassImages(Load load) {
      if (load.drawn.count == 0) {
        return 0;
      }
      long before = run.meter().liveBytes();
      try (Arena beside = run.child("class images");
          StableDiffusion drawing = StableDiffusion.loadToDraw(beside, base, config.compute())) {
        DryRun dry = new DryRun(beside, base, config, drawing);
        return run.meter().liveBytes()
            - before
            + dry.pictures().drawing(load.drawn.size, load.drawn.count, true);
      }
    }

    private PictureMemory pictures() {
      return new PictureMemory(run, model, TextEncoding.of(config.model()));
    }

    private Tensor latents(Arena arena, Bucket size, int rows) {
      int factor = model.vae().config().factor();
      return arena.allocate(
          "latents",
          DType.F32,
          rows,
          size.height() / factor,
          size.width() / factor,
          model.vae().config().latentChannels());
    }

    /**
     * What is alive at the step's peak beyond what lives all the time.
     *
     * @param remembered bytes of moments, averages and anchors, which the assembly made as part of
     *     the step
     */
    private Map<String, Long> step(
        Load load, Training training, long remembered, boolean textTrains) {
      run.meter().resetPeak();
      training.step(
          new StepSettings(0, 0, 1, 1, 0), List.of(arena -> batch(arena, load, textTrains)));
      Map<String, Long> parts = new LinkedHashMap<>(run.meter().peakParts());
      parts.remove(""); // what lives all the time
      parts.merge(TrainingStep.BATCH, -remembered, Long::sum);
      parts.values().removeIf(bytes -> bytes == 0);
      return Collections.unmodifiableMap(parts);
    }

    private TrainingBatch batch(Arena arena, Load load, boolean textTrains) {
      int instances = config.prior().predicts() ? load.rows / 2 : load.rows;
      TrainingBatch batch =
          TrainingBatch.of(
              latents(arena, load.bucket, load.rows),
              told(arena, load, textTrains),
              instances,
              null);
      if (config.loss().masked()) {
        batch = batch.with(mask(arena, load));
      }
      int priors = load.rows - instances;
      return config.prior().remembers()
          ? batch.with(
              new TrainingBatch.Known(
                  latents(arena, load.bucket, priors),
                  latents(arena, load.bucket, priors),
                  new long[priors]))
          : batch;
    }

    private Tensor mask(Arena arena, Load load) {
      int factor = model.vae().config().factor();
      return arena.allocate(
          "mask",
          DType.F32,
          load.rows,
          load.bucket.height() / factor,
          load.bucket.width() / factor);
    }

    /** What the UNet is told, or the token ids in place of what they become. */
    private Conditioning<Tensor> told(Arena batch, Load load, boolean textTrains) {
      Conditioning<long[]> tokens = prompts.tokenShapes(load.rows);
      Conditioning<long[]> told = prompts.allShapes(load.rows);
      if (textTrains) {
        told = told.without(Conditioning.HIDDEN_STATES, Conditioning.POOLED);
        for (Map.Entry<String, long[]> each : tokens.named().entrySet()) {
          told = told.with(each.getKey(), each.getValue());
        }
      }
      return told.map(
          (name, shape) ->
              batch.allocate(
                  name, tokens.named().containsKey(name) ? DType.I64 : DType.F32, shape));
    }
  }
}
