package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.config.ComputeConfig.CudaGraph;
import dreambooth4j.config.Config;
import dreambooth4j.config.DecidingKeys;
import dreambooth4j.config.MemoryConfig.Checkpointing;
import dreambooth4j.config.OptimizerConfig;
import dreambooth4j.data.PairSampler;
import dreambooth4j.data.View;
import dreambooth4j.diffusion.NoiseSchedule;
import dreambooth4j.diffusion.Objective;
import dreambooth4j.engine.AdamW;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Parameters.Gradients;
import dreambooth4j.engine.Platform;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.kernel.AdamWOnDevice;
import dreambooth4j.engine.kernel.Kernels;
import dreambooth4j.engine.kernel.Launcher;
import dreambooth4j.engine.kernel.Recorder;
import dreambooth4j.pipeline.Caches;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.pipeline.TextEncoding;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.ModelSource;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** The loop: epochs of pairs, one optimizer update a step. */
public final class Trainer implements AutoCloseable {
  /**
   * What one step did; losses are means over its batches.
   *
   * @param gradientNorm not finite where the step was skipped
   * @param lossScale fp16's in this step; null in other types
   */
  public record StepReport(
      int step,
      int epoch,
      TrainingStep.Losses losses,
      double gradientNorm,
      double learningRate,
      double priorLossWeight,
      int pictures,
      double seconds,
      @Nullable Double lossScale) {
    /** Whether the weights stayed as they were, for fp16's gradients were not finite. */
    public boolean skipped() {
      return !Double.isFinite(gradientNorm);
    }
  }

  /** Is told what happens, on the training thread. */
  public interface Listener {
    /** A step is done; {@code report.step()} counts from 1. */
    void step(StepReport report);
  }

  private final Arena run;
  private final Config config;
  private final StableDiffusion model;
  private PairSampler pairs;
  private final Caches caches;
  private final PairBatches batches;
  private final TrainingStep step;
  private final AdamW optimizer;
  private final @Nullable AdamWOnDevice onDevice;
  private final List<Parameters> trained = new ArrayList<>();
  private final int stepsPerEpoch;
  private final int steps;
  private final LearningRate learningRate;
  private final LossScale lossScale;
  private final @Nullable Ema ema;
  private @Nullable CapturedStep captured;
  private int done;

  /**
   * Prepares a run.
   *
   * @param run where the optimizer's moments and the averaged weights are held
   * @param model with the UNet trainable, and the text encoder if it trains too
   */
  public Trainer(
      Arena run, Config config, StableDiffusion model, PairSampler pairs, Caches caches) {
    this.run = run;
    this.config = config;
    this.model = model;
    this.pairs = pairs;
    this.caches = caches;
    NoiseSchedule schedule = NoiseSchedule.of(model.scheduler());
    this.batches = new PairBatches(config, model, caches, schedule.timesteps());
    model.freezeUnused(TextEncoding.of(config.model()));
    model.trained().forEach(group -> trained.add(group.parameters()));
    onDevice = onDevice(run, config);
    optimizer = optimizer(run, config, trained, onDevice);
    step =
        new TrainingStep(
            model.unet(),
            objective(schedule),
            config.training().offsetNoise(),
            new Tape.Saving(
                config.memory().gradientCheckpointing() == Checkpointing.TRUE,
                optimizer::updateArrived));
    int batchesPerStep = config.training().gradientAccumulationSteps();
    stepsPerEpoch = (pairs.batchesPerEpoch() + batchesPerStep - 1) / batchesPerStep;
    Integer most = config.training().maxTrainSteps();
    steps =
        most != null ? most : Math.multiplyExact(stepsPerEpoch, config.training().numTrainEpochs());
    learningRate = new LearningRate(config.optimizer(), steps);
    lossScale = new LossScale(config.compute().mixedPrecision());
    ema = config.ema().used() ? new Ema(run, config.ema(), trained) : null;
  }

  /** The rule's kernels where ours are launched; null where libtorch's own rule updates. */
  static @Nullable AdamWOnDevice onDevice(Arena run, Config config) {
    Launcher kernels = Kernels.of(run);
    if (kernels != null) {
      return new AdamWOnDevice(kernels, run);
    }
    boolean needed = config.memory().use8bitAdam() || config.compute().fullBf16();
    if (run.device() == Device.CUDA && needed) {
      throw Problem.usage(
          "use_8bit_adam and full_bf16 are done on CUDA by kernels of ours, which DREAMBOOTH4J_KERNELS=off leaves out: unset it, or leave out these keys");
    }
    return null;
  }

  /** What updates these groups as the configuration says. */
  static AdamW optimizer(
      Arena run, Config config, List<Parameters> groups, AdamW.@Nullable OnDevice device) {
    OptimizerConfig o = config.optimizer();
    return new AdamW(
        run,
        new AdamW.Settings(o.adamBeta1(), o.adamBeta2(), o.adamEpsilon(), o.adamWeightDecay()),
        groups,
        config.memory().use8bitAdam(),
        config.training().seed(),
        device);
  }

  /** Reads a model to train as the configuration says; in a dry arena, its sizes. */
  public static StableDiffusion load(Arena run, ModelSource base, Config config) {
    return StableDiffusion.load(
        run,
        base,
        config.training().trainTextEncoder()
            ? Set.of(Component.UNET, Component.TEXT_ENCODER)
            : Set.of(Component.UNET),
        config.memory().fusedBackwardPass() ? Gradients.PASSED_ON : Gradients.GATHERED,
        Precision.of(config.compute()));
  }

  private Objective objective(NoiseSchedule schedule) {
    double gamma = config.training().snrGamma();
    return gamma == 0 ? Objective.plain(schedule) : Objective.minSnr(schedule, gamma);
  }

  /** The types that it computes in, in words. */
  public String precision() {
    return Precision.named(config.compute());
  }

  /** Whether an average of the weights is kept: then it is what is sampled and saved. */
  public boolean averages() {
    return ema != null;
  }

  /** What to know about the averaged weights before it begins; null if nothing. */
  @Nullable String emaNote() {
    return ema == null ? null : ema.note(steps);
  }

  /** Steps of the whole run. */
  public int steps() {
    return steps;
  }

  /** Steps of an epoch. */
  public int stepsPerEpoch() {
    return stepsPerEpoch;
  }

  /** Steps done so far, those of a resumed run included. */
  public int done() {
    return done;
  }

  /** Goes on with other class images of the same pools: the epochs keep their order. */
  void show(PairSampler others) {
    if (others.batchesPerEpoch() != pairs.batchesPerEpoch()) {
      throw new IllegalArgumentException("an epoch has other batches with these class images");
    }
    pairs = others;
  }

  /** What trains: the UNet, and the text encoder if it does. */
  public List<Parameters> trained() {
    return List.copyOf(trained);
  }

  /**
   * Writes all that a later run needs to go on as if it had not stopped: a folder, whole or not at
   * all.
   */
  public void save(Path checkpoint) {
    Checkpoint.write(
        run,
        checkpoint,
        done,
        config.training().seed(),
        lossScale.toString(),
        ema,
        settings(),
        optimizer.states());
  }

  /** What decides where the run goes: keys of the configuration, and its pictures in short. */
  private Map<String, String> settings() {
    Map<String, String> settings = new TreeMap<>(DecidingKeys.of(config));
    settings.putAll(pairs.contents());
    if (run.device() == Device.CPU) {
      settings.put("library of matrix products", Platform.blas());
    }
    if (config.prior().refreshEpochs() > 0) {
      settings.remove("class images"); // the checkpoint's are as old as it is
    }
    return settings;
  }

  /**
   * Goes on from a folder that {@link #save} wrote.
   *
   * @return what decides where the run goes and is not as it was there, each with both values: with
   *     anything in it the run goes on, but not as the first would have
   */
  public List<String> resume(Path checkpoint) {
    Checkpoint.Restored restored =
        Checkpoint.read(checkpoint, config.training().seed(), optimizer.states());
    done = restored.step();
    lossScale.restore(restored.lossScale());
    List<String> changed = new ArrayList<>();
    if (ema != null) {
      ema.restore(restored.emaUpdates());
      if (restored.emaUpdates() == null) {
        changed.add("no average of the weights was kept, and it begins with them as they are");
      }
    }
    if (done > steps) {
      throw Problem.usage(
          "%s has %d steps done and this run ends at %d: raise max_train_steps or num_train_epochs, or resume from an earlier one"
              .formatted(checkpoint, done, steps));
    }
    Map<String, String> now = settings();
    restored
        .settings()
        .forEach(
            (name, then) -> {
              if (!then.equals(now.getOrDefault(name, then))) {
                changed.add("%s was '%s', is '%s'".formatted(name, then, now.get(name)));
              }
            });
    return changed;
  }

  /**
   * Trains until {@code until} steps are done or {@code stop} says so, looked at after each step.
   *
   * @throws dreambooth4j.Problem of kind DIVERGED at the first number that is not finite and that
   *     fp16's loss scale is not to blame for; the weights are then those before the step, but that
   *     with fused_backward_pass some may already be those after it
   */
  public void train(int until, Listener listener, BooleanSupplier stop) {
    while (done < Math.min(until, steps) && !stop.getAsBoolean()) {
      int epoch = done / stepsPerEpoch;
      List<PairSampler.Batch> all = pairs.epoch(epoch);
      for (int at = done % stepsPerEpoch;
          at < stepsPerEpoch && done < Math.min(until, steps) && !stop.getAsBoolean();
          at++) {
        StepReport report = step(epoch, parts(all, at));
        done++;
        listener.step(report);
      }
    }
  }

  /** The batches of an epoch that make up its step {@code at}. */
  private List<PairSampler.Batch> parts(List<PairSampler.Batch> all, int at) {
    int batchesPerStep = config.training().gradientAccumulationSteps();
    int from = at * batchesPerStep;
    return all.subList(from, Math.min(all.size(), from + batchesPerStep));
  }

  /**
   * Encodes what the steps to come will need and the caches on disk lack.
   *
   * @param stop looked at after each picture and prompt; true leaves the rest for another time
   */
  public void fillCaches(Caches.Listener listener, BooleanSupplier stop) {
    Set<View> views = new LinkedHashSet<>();
    Set<String> prompts = new LinkedHashSet<>();
    List<PairSampler.Batch> all = List.of();
    for (int i = done; i < steps && !stop.getAsBoolean(); i++) {
      if (i == done || i % stepsPerEpoch == 0) {
        all = pairs.epoch(i / stepsPerEpoch);
      }
      int pair = 0;
      for (PairSampler.Batch part : parts(all, i % stepsPerEpoch)) {
        batches.collect(part, i, pair, views, prompts);
        pair += part.pairs().size();
      }
    }
    caches.fill(views, prompts, listener, stop);
  }

  /**
   * Whether steps are to be captured, as cuda_graph says.
   *
   * @param notes gets the reason where they are not
   * @throws Problem where cuda_graph is true and they cannot be
   */
  static boolean captures(Arena run, Config config, Consumer<String> notes) {
    CudaGraph key = config.compute().cudaGraph();
    Device device = run.device();
    if (device == Device.CPU && key == CudaGraph.AUTO) {
      return false; // nobody asked for it, and nothing is lost
    }
    boolean kernels = Kernels.of(run) != null;
    return CapturedStep.wanted(key, CapturedStep.refusal(config, device, kernels), notes);
  }

  /**
   * Captures steps by this recorder, which is closed with this. On CUDA libtorch's stream is
   * another from here until then.
   */
  CapturedStep capture(Recorder recorder, Consumer<String> notes) {
    Launcher device = Objects.requireNonNull(Kernels.of(run), "our kernels are launched nowhere");
    boolean must = config.compute().cudaGraph() == CudaGraph.TRUE;
    DeviceStep.Update update =
        new DeviceStep.Update(
            optimizer,
            Objects.requireNonNull(onDevice, "our kernels do not update"),
            config.optimizer().maxGradNorm(),
            ema);
    CapturedStep made =
        new CapturedStep(run, step.onDevice(device, update, config), recorder, must, notes);
    captured = made;
    return made;
  }

  /** Frees what was captured. */
  @Override
  public void close() {
    if (captured != null) {
      captured.close();
      captured = null;
    }
  }

  private StepReport captured(CapturedStep steps, int epoch, PairSampler.Batch batch) {
    long start = System.nanoTime();
    double priorLossWeight = config.prior().weightAt(epoch);
    double rate = learningRate.at(done);
    double scale = lossScale.value();
    Double shownScale = lossScale.shown();
    try (Arena arena = run.child("batch")) {
      DeviceStep.Inputs inputs = batches.inputs(arena, batch, done);
      DeviceStep.Result result =
          steps.step(
              inputs,
              new DeviceStep.Settings(
                  done, rate, priorLossWeight, scale, ema == null ? 0 : ema.share()));
      if (!Double.isFinite(result.losses().total())) {
        PairBatches.Drawn drawn = batches.draw(arena, batch, done, 0, false);
        throw Divergence.ofLoss(arena, model, step, drawn, priorLossWeight, done + 1);
      }
      if (Double.isFinite(result.gradientNorm())) {
        lossScale.kept();
        if (ema != null) {
          ema.updated();
        }
      } else if (!lossScale.skipped()) {
        throw Divergence.ofGradients(
            optimizer, () -> gather(List.of(batch), false, priorLossWeight, scale), done + 1);
      }
      return new StepReport(
          done + 1,
          epoch,
          result.losses(),
          result.gradientNorm(),
          rate,
          priorLossWeight,
          inputs.numbers().length,
          (System.nanoTime() - start) / 1e9,
          shownScale);
    }
  }

  private StepReport step(int epoch, List<PairSampler.Batch> parts) {
    if (captured != null) {
      return captured(captured, epoch, parts.get(0));
    }
    long start = System.nanoTime();
    boolean textTrains = textEncoderTrains(epoch);
    double priorLossWeight = config.prior().weightAt(epoch);
    double rate = learningRate.at(done);
    double scale = lossScale.value();
    Double shownScale = lossScale.shown();
    optimizer.begin(rate);
    Gathered gathered = gather(parts, textTrains, priorLossWeight, scale);
    double norm = optimizer.update(rate, config.optimizer().maxGradNorm(), scale);
    if (Double.isFinite(norm)) {
      lossScale.kept();
      if (ema != null) {
        ema.update();
      }
    } else if (lossScale.skipped()) {
      optimizer.zeroGradients();
    } else {
      throw Divergence.ofGradients(
          optimizer, () -> gather(parts, textTrains, priorLossWeight, scale), done + 1);
    }
    return new StepReport(
        done + 1,
        epoch,
        gathered.losses,
        norm,
        rate,
        priorLossWeight,
        gathered.pictures,
        (System.nanoTime() - start) / 1e9,
        shownScale);
  }

  /** What the batches of a step came to, before its update. */
  private record Gathered(TrainingStep.Losses losses, int pictures) {}

  /**
   * Forward and back for all batches of the step to come, at the weights as they are.
   *
   * @param scale what fp16 multiplies the loss with, otherwise 1
   */
  private Gathered gather(
      List<PairSampler.Batch> parts, boolean textTrains, double priorLossWeight, double scale) {
    double total = 0;
    double instance = 0;
    double prior = 0;
    int pictures = 0;
    int pair = 0;
    for (PairSampler.Batch part : parts) {
      try (Arena arena = run.child("batch")) {
        PairBatches.Drawn drawn = batches.draw(arena, part, done, pair, textTrains);
        TrainingStep.Losses losses =
            step.gather(arena, drawn.rows(), drawn.draws(), priorLossWeight, scale / parts.size());
        if (!Double.isFinite(losses.total())) {
          throw Divergence.ofLoss(arena, model, step, drawn, priorLossWeight, done + 1);
        }
        total += losses.total() / parts.size();
        instance += losses.instance() / parts.size();
        prior += losses.prior() / parts.size();
        pictures += (int) drawn.rows().latents().size(0);
        pair += part.pairs().size();
      }
    }
    return new Gathered(new TrainingStep.Losses(total, instance, prior), pictures);
  }

  /** The text encoder stops after its part of the epochs; what it has learnt stays. */
  private boolean textEncoderTrains(int epoch) {
    double part = config.training().stopTextEncoder();
    int epochs = Math.max(1, (steps + stepsPerEpoch - 1) / stepsPerEpoch);
    boolean trains = epoch < Math.ceil(part * epochs);
    if (!trains && trained.remove(model.parameters(Component.TEXT_ENCODER))) {
      optimizer.freeze(model.parameters(Component.TEXT_ENCODER));
    }
    return trains;
  }
}
