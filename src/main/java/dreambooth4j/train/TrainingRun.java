package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.config.ComputeConfig.MixedPrecision;
import dreambooth4j.config.Config;
import dreambooth4j.config.ValidationConfig;
import dreambooth4j.data.Concept;
import dreambooth4j.data.HeldOut;
import dreambooth4j.data.ImageReader;
import dreambooth4j.data.PairSampler;
import dreambooth4j.data.Picture;
import dreambooth4j.distributed.Ranks;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.kernel.CudaDevice;
import dreambooth4j.engine.kernel.CudaRecorder;
import dreambooth4j.pipeline.Caches;
import dreambooth4j.pipeline.Devices;
import dreambooth4j.pipeline.LongPrompts;
import dreambooth4j.pipeline.NewWords;
import dreambooth4j.pipeline.Origin;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.prior.BaseModel;
import dreambooth4j.prior.ClassImageGenerator;
import dreambooth4j.prior.ClassImagePlan;
import dreambooth4j.prior.FreshClassImages;
import dreambooth4j.prior.PriorPools;
import dreambooth4j.weights.ModelSource;
import dreambooth4j.weights.SavedModel;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A whole run: scan, class images, training with samples and checkpoints, and the trained model at
 * the end, or where it was interrupted, or before it diverged.
 */
public final class TrainingRun {
  private final Config config;
  private final Origin origin;
  private final RunListener listener;
  private final BooleanSupplier stop;
  private final Path output;
  private final Ranks ranks;

  /** As the other one, from the base model's weights. */
  public TrainingRun(Config config, RunListener listener, BooleanSupplier stop) {
    this(config, Origin.BASE_MODEL, listener, stop);
  }

  /**
   * A run that has not begun.
   *
   * @param origin what the weights begin as
   * @param stop is looked at after each step; true saves what was learnt and ends the run
   */
  public TrainingRun(Config config, Origin origin, RunListener listener, BooleanSupplier stop) {
    this(config, origin, listener, stop, Ranks.alone());
  }

  /**
   * As above, as one of several processes.
   *
   * @param listener of rank 0 the one that reports; those of the others are told what concerns them
   */
  public TrainingRun(
      Config config, Origin origin, RunListener listener, BooleanSupplier stop, Ranks ranks) {
    this.ranks = ranks;
    this.config = config;
    this.origin = origin;
    this.listener = listener;
    this.stop = stop;
    this.output = config.output().outputDir();
  }

  /** As {@link #run(boolean)}, and does not begin what cannot fit into memory. */
  public boolean run() {
    return run(false);
  }

  /**
   * Runs.
   *
   * @param force begins a run too that by its plan needs more memory than there is
   * @return whether it is complete, rather than stopped
   * @throws Problem when something the user can mend is wrong, or training diverged
   */
  public boolean run(boolean force) {
    try {
      requireRanksFit();
      HeldOut all = HeldOut.scan(config); // before all else, for it may be wrong
      boolean complete = decided(this::checkpoint).runOnce(all, force);
      ranks.await();
      return complete;
    } catch (RuntimeException | Error e) {
      ranks.fail(String.valueOf(e.getMessage()));
      throw e;
    }
  }

  private void requireRanksFit() {
    if (ranks.size() == 1 && config.memory().shardOptimizer()) {
      listener.warning(
          "shard_optimizer has no effect in a run of one process: start several with --nproc or torchrun");
    }
    if (ranks.size() > 1) {
      RankShare.requireWork(config, ranks);
      if (config.memory().fusedBackwardPass()) {
        throw Problem.usage(
            "fused_backward_pass updates each weight before the other ranks' gradients are there: leave it out, or train with one process");
      }
    }
  }

  /**
   * This run with all decided that it leaves to be measured; rank 0 decides for all.
   *
   * @param checkpoint finds what the run goes on from
   */
  private TrainingRun decided(Supplier<@Nullable Path> checkpoint) {
    if (config.compute().mixedPrecision() != MixedPrecision.AUTO) {
      return this;
    }
    Path from = checkpoint.get();
    MixedPrecision chosen = ranks.isFirst() ? precision(from) : MixedPrecision.AUTO;
    String said = ranks.gather(chosen.name()).get(0);
    Config other = config.with(config.compute().in(MixedPrecision.valueOf(said)));
    return new TrainingRun(other, origin, listener, stop, ranks);
  }

  private MixedPrecision precision(@Nullable Path checkpoint) {
    ModelSource base = origin.find(config);
    return Precision.decide(
        MemoryForecast.device(config.compute().device()),
        checkpoint,
        () -> PrecisionTrial.of(config, base),
        listener::warning);
  }

  /** Losses on other held-out pictures are not compared, and the best model by them is kept. */
  private void measures(BestLoss best, String subject, @Nullable OutputFolder folder) {
    ranks.requireSame("what the loss is measured on", subject);
    ValidationConfig how = config.validation();
    String note = best.measures(subject);
    if (note == null || (!how.saveBest() && how.patience() == 0)) {
      return;
    }
    warn(note);
    Path aside = folder == null || !how.saveBest() ? null : folder.setBestAside();
    if (aside != null) {
      warn(
          "the earlier best model was moved to %s, which you may delete, since no run needs it"
              .formatted(aside));
    }
  }

  /** What the run goes on from; null for the base model. */
  private @Nullable Path checkpoint() {
    recover();
    return new Checkpoints(config.output()).start().checkpoint();
  }

  /** Finishes what an earlier run was changing in the folder when it was ended. */
  private void recover() {
    if (ranks.isFirst()) {
      OutputFolder.recover(output);
    }
    ranks.await();
  }

  private boolean runOnce(HeldOut all, boolean force) {
    List<Concept> concepts = all.concepts();
    ClassImagePlan plan = ClassImagePlan.of(config, concepts);
    listener.planned(config, concepts, plan);
    NewWords.requireUsed(config, concepts);
    ModelSource base = origin.find(config);
    base.notes().forEach(listener::warning);
    Adaptation.notes(config, base).forEach(listener::warning);
    recover();
    Checkpoints checkpoints = new Checkpoints(config.output());
    checkpoints.start(); // what cannot be gone on from is said before all else
    requireReadable(concepts, all.pictures());
    MemoryForecast memory = forecast(base, concepts, plan);
    if (!force) {
      memory.requireRoom();
    }
    Config fitted = config.with(memory.plan().memory());
    try (OutputFolder folder = ranks.isFirst() ? OutputFolder.take(config, base) : null;
        Arena run = Devices.open("run", Devices.choose(config.compute()), memory.limit());
        StableDiffusion model = ModelToTrain.load(run, base, fitted, concepts)) {
      ranks.await(); // rank 0 has the folder: nobody else changes it from here on
      Start start = checkpoints.start();
      ranks.requireSame("what output_dir has to go on from", String.valueOf(start.checkpoint()));
      boolean captures = Trainer.captures(run, fitted, ranks.size(), listener::warning);
      if (folder != null) {
        requirePlaces(run, model);
        say(run, model, base, concepts, plan);
        folder.start(start);
      }
      ClassImagePlan made = classImages(run, model, base, concepts, plan);
      if (ranks.any(stop.getAsBoolean())) {
        return stoppedBeforeItsFirstStep(start);
      }
      listener.paired(config, concepts, made);
      Caches caches = new Caches(run, config, base, model, listener::warning);
      Trainer trainer = new Trainer(run, fitted, model, pairs(concepts, made), caches, ranks);
      trainer.askBaseModel(listener, stop);
      if (ranks.any(stop.getAsBoolean())) {
        return stoppedBeforeItsFirstStep(start);
      }
      resume(trainer, start);
      trainer.requireSameOnAllRanks();
      trainer.fillCaches(listener, stop);
      if (ranks.any(stop.getAsBoolean())) {
        return stoppedBeforeItsFirstStep(start);
      }
      if (folder != null) {
        begin(folder, start);
      }
      Session session = new Session(config, listener, stop, run, model, trainer, ranks);
      Validation validation =
          new Validation(config, model, caches, all.pictures(), made.pools(), ranks);
      if (validation.isUsed()) {
        measures(trainer.bestLoss(), validation.subject(), folder);
      }
      return train(session, concepts, base, validation, captures, folder);
    }
  }

  private void requirePlaces(Arena run, StableDiffusion model) {
    SavedModel.requireOwn(output, model.files(run, output).keySet());
    DiskSpace.requireModelFits(run, model, output);
  }

  /** What is worth knowing before class images are made. */
  private void say(
      Arena run,
      StableDiffusion model,
      ModelSource base,
      List<Concept> concepts,
      ClassImagePlan plan) {
    warn(Devices.note(config.compute().device(), run.device()));
    warn(sizeNote(model));
    Precision.notes(config.compute(), run.device()).forEach(listener::warning);
    LongPrompts.of(model.tokenizer(), config, concepts, plan.pools())
        .notes("max_token_length: ", 5)
        .forEach(listener::warning);
    warn(BaseModel.noteOfOthers(plan, base));
    warn(Concept.noteOfMasks(config, concepts));
  }

  /** Makes the class images that are missing; the plan as it is then. */
  private ClassImagePlan classImages(
      Arena run,
      StableDiffusion model,
      ModelSource base,
      List<Concept> concepts,
      ClassImagePlan plan) {
    ranks.requireSame("the number of class images that are missing", "" + plan.missing());
    if (plan.missing() == 0) {
      return plan;
    }
    ClassImageGenerator generator = new ClassImageGenerator(config, base, model);
    Runnable all = () -> generator.generate(run, plan, listener, stop, ranks);
    model.withoutAdapters(
        Precision.drawsWithMasters(config.compute()) ? () -> model.withSavedWeights(all) : all);
    ranks.await();
    return ClassImagePlan.of(config, concepts);
  }

  /** Whoever forgot to say that an earlier run goes on stops at once, and is told how it does. */
  private boolean stoppedBeforeItsFirstStep(Start start) {
    Path newest = new Checkpoints(config.output()).newest();
    if (!start.continues() && newest != null) {
      listener.warning(
          "resume_from_checkpoint latest is now the run that was just stopped; the earlier one in %s goes on with --resume_from_checkpoint %s"
              .formatted(output, newest.getFileName()));
    }
    return false;
  }

  private void begin(OutputFolder folder, Start start) {
    if (!start.continues()) {
      warn(folder.begin(start));
    }
    folder.write(config);
  }

  /** Trains with what is in memory now; whether it is complete. */
  private boolean train(
      Session session,
      List<Concept> concepts,
      ModelSource base,
      Validation validation,
      boolean captures,
      @Nullable OutputFolder folder) {
    Trainer trainer = session.trainer();
    Checkpoints checkpoints = new Checkpoints(config.output());
    if (ranks.isFirst()) {
      DiskSpace.notes(session, checkpoints.all()).forEach(listener::warning);
    }
    listener.ready(
        new RunListener.Beginning(
            trainer.done(),
            trainer.steps(),
            trainer.stepsPerEpoch(),
            trainer.precision(),
            trainer.averages(),
            () -> session.arena().meter().peakBytes()));
    session.arena().meter().resetPeak();
    warn(trainer.emaNote());
    SamplePictures samples = new SamplePictures(config, session.model(), concepts);
    if (captures) {
      trainer.capture(new CudaRecorder(), listener::warning);
    }
    try (trainer) {
      Saver saver = new Saver(session, checkpoints);
      FreshClassImages fresh = new FreshClassImages(config, concepts, base);
      new TrainingLoop(session, samples, saver, validation, fresh, made -> pairs(concepts, made))
          .run();
      if (session.isFinished() && folder != null) {
        folder.end();
      }
      return session.isFinished();
    } finally {
      listener.ended(peakOf(session.arena()));
    }
  }

  private static RunListener.PeakMemory peakOf(Arena run) {
    return new RunListener.PeakMemory(
        run.meter().peakBytes(),
        run.device() == Device.CUDA
            ? OptionalLong.of(CudaDevice.peakBytes())
            : OptionalLong.empty());
  }

  /** What {@link #run} would do and need; nothing is loaded, and nothing is written. */
  public MemoryForecast dryRun() {
    requireRanksFit();
    HeldOut all = HeldOut.scan(config);
    return decided(() -> new Checkpoints(config.output()).start().checkpoint())
        .planned(all.concepts());
  }

  private MemoryForecast planned(List<Concept> concepts) {
    ClassImagePlan plan = ClassImagePlan.of(config, concepts);
    listener.planned(config, concepts, plan);
    warn(Concept.noteOfMasks(config, concepts));
    ModelSource base = origin.find(config);
    return forecast(base, concepts, plan);
  }

  private MemoryForecast forecast(ModelSource base, List<Concept> concepts, ClassImagePlan plan) {
    MemoryForecast memory =
        new MemoryForecast(
            base,
            config,
            MemoryPlan.Load.of(config, concepts, plan, RankShare.largest(config, ranks)),
            ranks);
    listener.forecast(memory);
    return memory;
  }

  private PairSampler pairs(List<Concept> concepts, ClassImagePlan plan) {
    return new PairSampler(
        concepts.stream().flatMap(c -> c.pictures().stream()).toList(),
        PriorPools.of(config, concepts, plan),
        config.training().trainBatchSize(),
        config.data().buckets().remainder(),
        config.training().seed());
  }

  /** The default of resolution is half of what SDXL was trained at, and it is told so. */
  private @Nullable String sizeNote(StableDiffusion model) {
    int usual = model.unet().config().sampleSize() * model.vae().config().factor();
    int asked = config.data().resolution();
    return model.unet().config().added() == null || 2 * asked > usual
        ? null
        : "resolution is %d, but the base model was trained at %d: set resolution: %d, or it learns to draw what small pictures look like"
            .formatted(asked, usual, usual);
  }

  private void warn(@Nullable String message) {
    if (message != null) {
      listener.warning(message);
    }
  }

  private void resume(Trainer trainer, Start start) {
    Path checkpoint = start.checkpoint();
    if (checkpoint == null) {
      if (Checkpoints.LATEST.equals(config.output().resumeFromCheckpoint())) {
        warnOfBeginningAgain();
      }
      return;
    }
    List<String> changed = trainer.resume(checkpoint);
    if (!changed.isEmpty()) {
      listener.warning(
          "it goes on from %s, but not exactly as that run would have: %s"
              .formatted(checkpoint, String.join("; ", changed)));
    }
    if (trainer.done() == trainer.steps()) {
      listener.warning(
          "all %d steps are done: raise max_train_steps or num_train_epochs to train on"
              .formatted(trainer.steps()));
    }
  }

  private void warnOfBeginningAgain() {
    Path newest = new Checkpoints(config.output()).newest();
    String earlier =
        newest == null
            ? ""
            : "; to continue the run before that in %s instead, stop this one and use --resume_from_checkpoint %s"
                .formatted(output, newest.getFileName());
    listener.warning(
        "the earlier run in output_dir ended before its first checkpoint: training"
            + " starts from the beginning"
            + earlier);
  }

  /** A damaged picture or mask is found here, not after hours of class images. */
  private void requireReadable(List<Concept> concepts, List<Picture> held) {
    Stream.concat(concepts.stream().flatMap(concept -> concept.pictures().stream()), held.stream())
        .parallel()
        .forEach(
            picture -> {
              ImageReader.read(picture.file(), picture.bucket());
              Path mask = picture.mask();
              if (mask != null && config.loss().masked()) {
                ImageReader.read(mask, picture.bucket());
              }
            });
  }
}
