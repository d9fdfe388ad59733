package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.data.Concept;
import dreambooth4j.data.ImageReader;
import dreambooth4j.data.PairSampler;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.kernel.CudaDevice;
import dreambooth4j.engine.kernel.CudaRecorder;
import dreambooth4j.pipeline.Caches;
import dreambooth4j.pipeline.Devices;
import dreambooth4j.pipeline.LongPrompts;
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
    List<Concept> concepts = Concept.scanAll(config);
    ClassImagePlan plan = ClassImagePlan.of(config, concepts);
    listener.planned(config, concepts, plan);
    ModelSource base = origin.find(config);
    base.notes().forEach(listener::warning);
    OutputFolder.recover(output);
    Checkpoints checkpoints = new Checkpoints(config.output());
    Path resumed = checkpoints.toResume();
    boolean continues = continues(resumed);
    requireReadable(concepts);
    MemoryForecast memory = forecast(base, concepts, plan);
    if (!force) {
      memory.requireRoom();
    }
    Config fitted = config.with(memory.plan().memory());
    try (OutputFolder folder = OutputFolder.take(config, base, continues);
        Arena run = Devices.open("run", Devices.choose(config.compute()), memory.limit());
        StableDiffusion model = Trainer.load(run, base, fitted)) {
      SavedModel.requireOwn(output, model.files(run, output).keySet());
      DiskSpace.requireModelFits(run, model, output);
      warn(Devices.note(config.compute().device(), run.device()));
      warn(sizeNote(model));
      Precision.notes(config.compute(), run.device()).forEach(listener::warning);
      boolean captures = Trainer.captures(run, fitted, listener::warning);
      LongPrompts.of(model.tokenizer(), config, concepts, plan.pools())
          .notes("max_token_length: ", 5)
          .forEach(listener::warning);
      warn(BaseModel.noteOfOthers(plan, base));
      if (plan.missing() > 0) {
        ClassImagePlan wanted = plan;
        ClassImageGenerator generator = new ClassImageGenerator(config, base, model);
        model.withoutAdapters(
            () -> model.withSavedWeights(() -> generator.generate(run, wanted, listener, stop)));
        plan = ClassImagePlan.of(config, concepts);
      }
      if (stop.getAsBoolean()) {
        return false;
      }
      listener.paired(config, concepts, plan);
      Caches caches = new Caches(run, config, base, model, listener::warning);
      Trainer trainer = new Trainer(run, fitted, model, pairs(concepts, plan), caches);
      Session session = new Session(config, listener, stop, run, model, trainer);
      if (resumed != null) {
        resume(trainer, resumed);
      } else if (Checkpoints.LATEST.equals(config.output().resumeFromCheckpoint())) {
        listener.warning("the run here wrote no checkpoint before it ended: it begins again");
      }
      warn(DiskSpace.note(session, continues ? checkpoints.all() : List.of()));
      trainer.fillCaches(listener, stop);
      if (stop.getAsBoolean()) {
        return false;
      }
      FreshClassImages fresh = new FreshClassImages(config, concepts, base);
      if (!continues) {
        warn(folder.begin());
        fresh.forget();
      }
      folder.write(config);
      listener.ready(
          new RunListener.Beginning(
              trainer.done(),
              trainer.steps(),
              trainer.stepsPerEpoch(),
              trainer.precision(),
              trainer.averages(),
              () -> run.meter().peakBytes()));
      run.meter().resetPeak();
      warn(trainer.emaNote());
      SamplePictures samples = new SamplePictures(config, model, concepts);
      if (captures) {
        trainer.capture(new CudaRecorder(), listener::warning);
      }
      try (trainer) {
        Saver saver = new Saver(session, checkpoints);
        new TrainingLoop(session, samples, saver, fresh, made -> pairs(concepts, made)).run();
        if (session.isFinished()) {
          folder.end();
        }
        return session.isFinished();
      } finally {
        listener.ended(peakOf(run));
      }
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
    List<Concept> concepts = Concept.scanAll(config);
    ClassImagePlan plan = ClassImagePlan.of(config, concepts);
    listener.planned(config, concepts, plan);
    ModelSource base = origin.find(config);
    return forecast(base, concepts, plan);
  }

  private MemoryForecast forecast(ModelSource base, List<Concept> concepts, ClassImagePlan plan) {
    MemoryForecast memory =
        new MemoryForecast(base, config, MemoryPlan.Load.of(config, concepts, plan));
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

  /**
   * Whether it goes on with what this folder holds, rather than with a checkpoint from elsewhere or
   * of a run that was set aside. Of a run that wrote no checkpoint it takes the first step again.
   */
  private boolean continues(@Nullable Path resumed) {
    if (resumed == null) {
      return Checkpoints.LATEST.equals(config.output().resumeFromCheckpoint())
          && !Mark.STARTING.isIn(output);
    }
    return output.equals(resumed.toAbsolutePath().normalize().getParent());
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

  private void resume(Trainer trainer, Path checkpoint) {
    List<String> changed = trainer.resume(checkpoint);
    if (!changed.isEmpty()) {
      listener.warning(
          "it goes on from %s with other settings than that was made with: %s"
              .formatted(checkpoint, String.join("; ", changed)));
    }
    if (trainer.done() == trainer.steps()) {
      listener.warning(
          "all %d steps are done: raise max_train_steps or num_train_epochs to train on"
              .formatted(trainer.steps()));
    }
  }

  /** A damaged picture is found here, not after hours of class images. */
  private static void requireReadable(List<Concept> concepts) {
    concepts.stream()
        .flatMap(concept -> concept.pictures().stream())
        .parallel()
        .forEach(picture -> ImageReader.read(picture.file(), picture.bucket()));
  }
}
