package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.config.ComputeConfig.CudaGraph;
import dreambooth4j.config.Config;
import dreambooth4j.config.DecidingKeys;
import dreambooth4j.config.OptimizerConfig;
import dreambooth4j.data.PairSampler;
import dreambooth4j.distributed.Ranks;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.WholeStates;
import dreambooth4j.engine.kernel.Kernels;
import dreambooth4j.engine.kernel.Recorder;
import dreambooth4j.pipeline.Caches;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.pipeline.TextEncoding;
import dreambooth4j.weights.Group;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.function.Function;
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
      Losses losses,
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

  private final Ranks ranks;
  private final Arena run;
  private final Config config;
  private final StableDiffusion model;
  private final Course course;
  private final PairBatches batches;
  private final Preparation preparation;

  /**
   * Names the model that adapters or new words are for, of which a checkpoint has nothing; null
   * where all of it trains.
   */
  private final @Nullable String adapted;

  private final LearningRate learningRate;

  /** What the learning rate that is reported is multiplied with. */
  private final double shownRateFactor;

  private final LossScale lossScale;
  private final BestLoss bestLoss = new BestLoss();
  private @Nullable Training training;

  /** What the ranks have given for a checkpoint; null where none is being saved. */
  private @Nullable WholeStates gathered;

  private int done;
  private boolean ended;

  /**
   * Prepares a run.
   *
   * @param run where the optimizer's states and the averaged weights will be held
   * @param model with the UNet trainable, and the text encoders if they train too
   */
  public Trainer(
      Arena run, Config config, StableDiffusion model, PairSampler pairs, Caches caches) {
    this(run, config, model, pairs, caches, Ranks.alone());
  }

  /** As above, as one of these ranks, all of which train the same. */
  Trainer(
      Arena run,
      Config config,
      StableDiffusion model,
      PairSampler pairs,
      Caches caches,
      Ranks ranks) {
    this.ranks = ranks;
    this.run = run;
    this.config = config;
    this.model = model;
    course = new Course(config, pairs);
    batches = new PairBatches(config, model, caches);
    preparation = new Preparation(course, batches, caches, ranks);
    model.freezeUnused(TextEncoding.of(config.model()));
    boolean all = config.training().trainUnet() && config.trainsWeights();
    adapted = all && !config.embedding().used() ? null : model.fingerprintOfTrained();
    OptimizerConfig optimizer = config.optimizer();
    int pictures =
        optimizer.scaleLr()
            ? config.training().trainBatchSize() * config.training().gradientAccumulationSteps()
            : 1;
    learningRate =
        new LearningRate(optimizer.schedule(), optimizer.learningRate() * pictures, course.steps());
    shownRateFactor = config.training().trainUnet() ? 1 : model.trained().get(0).rateFactor();
    lossScale = new LossScale(config.compute().mixedPrecision());
  }

  /** The types that it computes in, in words. */
  public String precision() {
    return Precision.named(config.compute());
  }

  /** Whether an average of the weights is kept: then it is what is sampled and saved. */
  public boolean averages() {
    return config.ema().used();
  }

  /** What to know about the averaged weights before it begins; null if nothing. */
  @Nullable String emaNote() {
    Ema ema = training().ema();
    return ema == null ? null : ema.note(steps());
  }

  /** Steps of the whole run. */
  public int steps() {
    return course.steps();
  }

  /** The least loss on held-out pictures. */
  BestLoss bestLoss() {
    return bestLoss;
  }

  /** Takes no more steps: what is done is all of the run. */
  void end() {
    ended = true;
  }

  /** Whether all steps are done. */
  boolean isFinished() {
    return ended || done == steps();
  }

  /** Steps of an epoch. */
  public int stepsPerEpoch() {
    return course.stepsPerEpoch();
  }

  /** Steps done so far, those of a resumed run included. */
  public int done() {
    return done;
  }

  /** Goes on with other class images of the same pools: the epochs keep their order. */
  void show(PairSampler others) {
    course.show(others);
  }

  /**
   * What a step is taken with. The optimizer's states and the averages are allocated when it is
   * asked for first: pictures are encoded before, without them.
   */
  Training training() {
    Training made = training;
    if (made == null) {
      made = Training.assemble(run, model, config, ranks);
      training = made;
    }
    return made;
  }

  /** Bytes of what the optimizer remembers. */
  long stateBytes() {
    return Recipe.of(config).stateBytes(trained());
  }

  /** What trains: the UNet, and the text encoders if they do. */
  public List<Parameters> trained() {
    return model.trained().stream().map(Group::parameters).toList();
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
        bestLoss.toString(),
        training().ema(),
        recorded(),
        training().optimizer(),
        gathered);
  }

  /** The settings, and what decides how numbers round here. */
  private Map<String, String> recorded() {
    Map<String, String> all = settings();
    all.putAll(Rounding.on(run.device()));
    return all;
  }

  /** After an error: whether it left some weights before the step at hand and others after it. */
  boolean isUpdating() {
    return training != null && training.isUpdating();
  }

  /** Whether a checkpoint takes what the other ranks have, so that all have to know of it. */
  boolean sharesStates() {
    return training().optimizer().shards().areCut();
  }

  /**
   * Does something for which rank 0 needs all that a checkpoint has. Collective: with
   * shard_optimizer the ranks give it their parts of the optimizer's states first.
   */
  void withWholeStates(Runnable body) {
    try (WholeStates all = WholeStates.gather(run, training().optimizer())) {
      gathered = all;
      body.run();
    } finally {
      gathered = null;
    }
  }

  /** Whether a rank has no memory for what a checkpoint takes of all of them. */
  boolean lacksStates() {
    return gathered != null && gathered.isMissing();
  }

  /** What decides where the run goes: keys of the configuration, and its pictures in short. */
  private Map<String, String> settings() {
    Map<String, String> settings = new TreeMap<>(DecidingKeys.of(config));
    settings.putAll(course.contents());
    if (adapted != null) {
      settings.put("base model", adapted);
    }
    if (config.embedding().used()) {
      settings.put(Checkpoint.WORDS, model.addedWords());
    }
    if (config.prior().refreshEpochs() > 0) {
      settings.remove("class images"); // the checkpoint's are as old as it is
    }
    return settings;
  }

  /**
   * Makes sure that all ranks train the same.
   *
   * @throws Problem on all of them where one has other weights, settings or pictures
   */
  void requireSameOnAllRanks() {
    if (ranks.size() > 1) {
      Map<String, String> all = settings();
      all.putAll(Rounding.onAllRanks(run.device()));
      all.forEach((name, value) -> ranks.requireSame("'" + name + "'", value));
      List<Long> weights = trained().stream().map(Parameters::fingerprint).toList();
      ranks.requireSame("the sum of all weights", weights + " after " + done + " steps");
    }
  }

  /**
   * Goes on from a folder that {@link #save} wrote.
   *
   * @return what decides where the run goes and is not as it was there, each with both values: with
   *     anything in it the run goes on, but not as the first would have
   */
  public List<String> resume(Path checkpoint) {
    Checkpoint.Restored restored =
        Checkpoint.read(
            checkpoint, config.training().seed(), model.addedWords(), training().optimizer());
    done = restored.step();
    lossScale.restore(restored.lossScale());
    bestLoss.restore(restored.bestLoss());
    training().optimizer().bringUpSaved();
    List<String> changed = new ArrayList<>();
    Ema ema = training().ema();
    if (ema != null) {
      ema.restore(restored.emaUpdates());
      if (restored.emaUpdates() == null) {
        changed.add(
            "the checkpoint has no averaged weights (use_ema), so averaging starts from its"
                + " weights");
      }
    }
    if (done > steps()) {
      throw Problem.usage(
          "%s has %d steps done and this run ends at %d: raise max_train_steps or num_train_epochs, or resume from an earlier one"
              .formatted(checkpoint, done, steps()));
    }
    Map<String, String> then = restored.settings();
    settings()
        .forEach(
            (name, now) -> {
              if (!now.equals(then.getOrDefault(name, now))) {
                changed.add("%s was '%s', is '%s'".formatted(name, then.get(name), now));
              }
            });
    changed.addAll(Rounding.differences(then, Rounding.on(run.device())));
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
    int last = Math.min(until, steps());
    while (done < last && !stop.getAsBoolean()) {
      int epoch = course.epochOf(done);
      freezeTextEncoders(epoch);
      while (done < last && course.epochOf(done) == epoch && !stop.getAsBoolean()) {
        StepReport report = step(epoch, course.batches(done));
        done++;
        listener.step(report);
      }
    }
  }

  /**
   * With {@code prior: prediction} where all weights train, has the model say what prior rows will
   * be compared with: to be called before it learns or is resumed.
   *
   * @param stop looked at after each; true leaves the rest for another time
   */
  public void askBaseModel(Caches.Listener listener, BooleanSupplier stop) {
    if (config.prior().remembers()) {
      preparation.askBaseModel(training(), listener, stop);
    }
  }

  /**
   * Encodes what the steps to come will need and the caches on disk lack.
   *
   * @param stop looked at after each picture and prompt; true leaves the rest for another time
   */
  public void fillCaches(Caches.Listener listener, BooleanSupplier stop) {
    preparation.fillCaches(done, listener, stop);
  }

  /**
   * Whether steps are to be captured, as cuda_graph says.
   *
   * @param ranks how many train together
   * @param notes gets the reason where they are not
   * @throws Problem where cuda_graph is true and they cannot be
   */
  static boolean captures(Arena run, Config config, int ranks, Consumer<String> notes) {
    CudaGraph key = config.compute().cudaGraph();
    Device device = run.device();
    if (device == Device.CPU && key == CudaGraph.AUTO) {
      return false; // nobody asked for it, and nothing is lost
    }
    boolean kernels = Kernels.of(run) != null;
    String refusal = CapturedStep.refusal(config, device, ranks, kernels);
    return CapturedStep.wanted(key, refusal, notes);
  }

  /**
   * Captures steps by this recorder, which is closed with this. On CUDA libtorch's stream is
   * another from here until then.
   */
  CapturedStep capture(Recorder recorder, Consumer<String> notes) {
    return training().capture(recorder, config.compute().cudaGraph() == CudaGraph.TRUE, notes);
  }

  /** Frees what was captured. */
  @Override
  public void close() {
    if (training != null) {
      training.close();
    }
  }

  private StepReport step(int epoch, List<PairSampler.Batch> parts) {
    long start = System.nanoTime();
    Ema ema = training().ema();
    StepSettings settings =
        new StepSettings(
            done,
            learningRate.at(done),
            config.prior().weightAt(epoch),
            lossScale.value(),
            ema == null ? 0 : ema.rate());
    Double shownScale = lossScale.shown();
    List<Function<Arena, TrainingBatch>> made = made(parts, readsTokens(epoch));
    StepResult result =
        ranks.size() == 1
            ? training().step(settings, made)
            : training()
                .step(
                    settings,
                    made,
                    parts.size(),
                    parts.stream().anyMatch(PairSampler.Batch::hasClassImages),
                    ranks);
    if (!Double.isFinite(result.losses().total())) {
      throw ofAllRanks(Divergence.ofLoss(model, training(), made, done + 1));
    }
    if (Double.isFinite(result.gradientNorm())) {
      lossScale.kept();
      if (ema != null) {
        ema.updated();
      }
    } else if (lossScale.canFall()) {
      lossScale.fall();
    } else {
      throw ofAllRanks(
          Divergence.ofGradients(
              training().optimizer(), () -> training().gradients(made), done + 1));
    }
    return new StepReport(
        done + 1,
        epoch,
        result.losses(),
        result.gradientNorm(),
        settings.learningRate() * shownRateFactor,
        settings.priorLossWeight(),
        parts.stream().mapToInt(Trainer::pictures).sum(),
        (System.nanoTime() - start) / 1e9,
        shownScale);
  }

  private Problem ofAllRanks(Problem own) {
    return ranks.size() == 1
        ? own
        : Divergence.ofRanks(ranks.gather(String.valueOf(own.getMessage())));
  }

  private static int pictures(PairSampler.Batch batch) {
    return batch.pairs().size()
        + (int) batch.pairs().stream().filter(each -> each.classImage() != null).count();
  }

  /** How the batches of the step to come are read, each when its turn comes. */
  private List<Function<Arena, TrainingBatch>> made(
      List<PairSampler.Batch> parts, boolean textEncoderTrains) {
    List<Function<Arena, TrainingBatch>> made = new ArrayList<>();
    for (RankShare each : RankShare.of(parts, ranks.rank(), ranks.size())) {
      made.add(
          arena ->
              each.weighed(
                  batches.batch(arena, each.pairs(), done, each.first(), textEncoderTrains)));
    }
    return made;
  }

  /**
   * Whether a step encodes its prompts itself: where text encoders train or new words do, and where
   * the base model's are asked beside those that have.
   */
  private boolean readsTokens(int epoch) {
    return course.textEncoderTrains(epoch)
        || config.embedding().used()
        || (config.asksBaseModel() && config.training().trainTextEncoder());
  }

  /** Takes the text encoders out of training once their part is over; what they learnt stays. */
  private void freezeTextEncoders(int epoch) {
    if (config.training().trainTextEncoder() && !course.textEncoderTrains(epoch)) {
      for (StableDiffusion.Reader each : model.readers()) {
        model
            .trained(each.component())
            .forEach(group -> training().optimizer().freeze(group.parameters()));
      }
    }
  }
}
