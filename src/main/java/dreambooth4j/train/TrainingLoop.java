package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.config.SamplesConfig;
import dreambooth4j.data.PairSampler;
import dreambooth4j.prior.ClassImagePlan;
import dreambooth4j.prior.FreshClassImages;
import java.nio.file.Path;
import java.util.concurrent.CancellationException;
import java.util.function.Function;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The steps of a run from where it stands to its end, with what is done between them: checkpoints,
 * samples, other class images. In the end, or where it is stopped, the model is saved.
 */
final class TrainingLoop {
  private final Session session;
  private final Trainer trainer;
  private final SamplePictures samples;
  private final Saver saver;
  private final Validation validation;
  private final FreshClassImages classImages;
  private final Function<ClassImagePlan, PairSampler> pairs;
  private final Schedule saving;
  private final Schedule savingModels;
  private final Schedule sampling;
  private final Schedule refreshing;
  private final Schedule validating;

  /** Steps that were done before. */
  private final int begun;

  /** Steps that were done when samples were last drawn. */
  private int sampled;

  /** Steps that were done when the loss on held-out pictures was last measured. */
  private int validated;

  /** Whether a step has changed the weights. */
  private boolean learnt;

  /**
   * A loop that has not begun.
   *
   * @param pairs pairs the pictures with the class images of a plan
   */
  TrainingLoop(
      Session session,
      SamplePictures samples,
      Saver saver,
      Validation validation,
      FreshClassImages classImages,
      Function<ClassImagePlan, PairSampler> pairs) {
    this.session = session;
    this.trainer = session.trainer();
    this.samples = samples;
    this.saver = saver;
    this.validation = validation;
    this.classImages = classImages;
    this.pairs = pairs;
    Config config = session.config();
    SamplesConfig pictures = config.samples();
    int epoch = trainer.stepsPerEpoch();
    saving = session.saving();
    savingModels = session.savingModels();
    sampling = Schedule.of(pictures.validationSteps(), pictures.savePreviewEvery(), epoch);
    refreshing = Schedule.of(0, config.prior().refreshEpochs(), epoch);
    int every = validation.isUsed() ? config.validation().every() : 0;
    validating = Schedule.of(every, 0, epoch);
    begun = trainer.done();
    sampled = begun;
    validated = begun;
  }

  /**
   * Trains to the end, or until it is stopped, and saves.
   *
   * @throws Problem when training diverges or something cannot be made or written; what was learnt
   *     is saved where that can be done
   * @throws IllegalStateException where libtorch fails; what was learnt is saved likewise
   */
  void run() {
    if (begun == 0) {
      if (writes()) {
        sample();
      }
      if (validation.isUsed()) {
        measure();
      }
    } else {
      catchUp();
    }
    try {
      refresh();
      steps();
    } catch (Problem | IllegalStateException e) {
      if (trainer.done() > begun && session.ranks().saves()) {
        keep(e instanceof Problem problem && problem.kind() == Problem.Kind.DIVERGED);
      }
      throw e;
    }
    end();
  }

  /** Saves what it can after an error, which is what is reported: not what saving fails by. */
  private void keep(boolean diverged) {
    try {
      if (diverged) {
        saver.keepLastGood();
      } else {
        saver.keepSteps();
      }
    } catch (Problem | IllegalStateException e) {
      session.warn("what was learnt could not be saved: " + e.getMessage());
    }
  }

  /** Whether this process writes what the run leaves, rather than another rank. */
  private boolean writes() {
    return session.ranks().isFirst();
  }

  private void step(Trainer.StepReport report) {
    learnt = learnt || !report.skipped();
    session.listener().step(report);
  }

  private void steps() {
    while (!session.isFinished()) {
      int done = trainer.done();
      int next =
          Stream.of(saving, savingModels, sampling, refreshing, validating)
              .mapToInt(schedule -> schedule.after(done))
              .min()
              .getAsInt();
      trainer.train(next, this::step, () -> pauses(done));
      if (session.isFinished() || session.isStopped()) {
        return;
      }
      between(trainer.done());
    }
  }

  /** Whether the steps that began after {@code from} are interrupted, on all ranks. */
  private boolean pauses(int from) {
    boolean due = trainer.done() > from && writes() && saver.isDueByTheClock();
    return session.ranks().any(due || session.stop().getAsBoolean());
  }

  /** What an ended run owes of the step that it is resumed from: its checkpoint was first. */
  private void catchUp() {
    if (session.isFinished()) {
      return;
    }
    Path output = session.config().output().outputDir();
    if (writes() && savingModels.isDue(begun) && !saver.hasModelOnTheWay()) {
      saver.modelOnTheWay();
    }
    if (writes() && sampling.isDue(begun) && !samples.areDrawn(output, begun)) {
      sample();
    }
    if (validation.isUsed()) {
      catchUpOnValidation();
    }
  }

  /** A run that is stopped right after a step has not measured it. All ranks measure together. */
  private void catchUpOnValidation() {
    BestLoss best = trainer.bestLoss();
    if (writes() && session.config().validation().saveBest()) {
      catchUpOnBest();
    }
    if (best.measured() == begun) {
      endIfNoBetter();
    } else if (validating.isDue(begun)) {
      validate();
    }
  }

  /** The best model may be gone, or one before it lies there where the disk was full. */
  private void catchUpOnBest() {
    BestLoss best = trainer.bestLoss();
    boolean there = saver.hasBest();
    if (!there) {
      best.lost();
    }
    if (best.step() == begun) {
      saveIfBest(best.loss());
    } else if (!there && best.step() > 0) {
      session.warn(
          "the best model so far, of step %d, is missing from %s: the best of the following ones is saved there"
              .formatted(best.step(), session.config().output().outputDir()));
    }
  }

  private void between(int done) {
    if (validating.isDue(done)) {
      validate(); // first, for a checkpoint holds what came of it
    }
    boolean due = writes() && (saving.isDue(done) || saver.isDueByTheClock());
    if (trainer.sharesStates() ? session.ranks().any(due) : due) {
      saveTogether(saver::duringRun);
    }
    if (writes()) {
      write(done);
    }
    if (refreshing.isDue(done)) {
      refresh();
    }
  }

  /** Saves on the rank that writes, while it has what the others know. */
  private void saveTogether(Runnable save) {
    trainer.withWholeStates(
        () -> {
          if (writes()) {
            save.run();
          }
        });
  }

  private void write(int done) {
    if (savingModels.isDue(done)) {
      saver.modelOnTheWay();
    }
    if (sampling.isDue(done)) {
      sample();
    }
  }

  private void end() {
    // Of a run that goes on the weights of its checkpoint are worth saving all the same.
    if (begun == 0 && trainer.done() > 0 && !learnt) {
      if (session.isFinished()) {
        throw nothingLearnt();
      }
      return;
    }
    if (!session.isFinished() && !learnt) {
      return; // a model that lies there is worth more
    }
    if (session.isFinished() && validation.isUsed() && validated < trainer.done()) {
      validate();
    }
    // by all ranks, for where no model can be written a checkpoint is, with the states of each
    saveTogether(() -> saver.atEnd(learnt));
    if (writes()) {
      sampleLast();
    }
  }

  private void sampleLast() {
    if (session.isFinished()
        && (sampled < trainer.done()
            || !samples.areDrawn(session.config().output().outputDir(), trainer.done()))) {
      sample();
      saver.showSample();
    }
  }

  /** Measures the loss on held-out pictures, and does what the configuration says of it. */
  private void validate() {
    validated = trainer.done();
    RunListener.Validated losses = measure();
    if (losses != null) {
      trainer.bestLoss().add(losses.instance(), validated);
      saveIfBest(losses.instance());
      endIfNoBetter();
    }
  }

  /**
   * Measures the loss on held-out pictures; null where that fails, for what is learnt is worth as
   * much.
   */
  private RunListener.@Nullable Validated measure() {
    int step = trainer.done();
    RunListener.Validated losses;
    try {
      losses = validation.measure(session.arena());
    } catch (Problem | IllegalStateException e) {
      session.warn(
          "no loss on held-out pictures %s: %s"
              .formatted(step == 0 ? "before step 1" : "after step " + step, e.getMessage()));
      return null;
    }
    session.listener().validated(step, losses);
    return losses;
  }

  private void saveIfBest(double loss) {
    BestLoss best = trainer.bestLoss();
    boolean wanted = session.config().validation().saveBest() && best.isWorthSaving(loss);
    if (wanted && writes() && saver.bestModel()) {
      best.saved(loss);
    }
  }

  private void endIfNoBetter() {
    BestLoss best = trainer.bestLoss();
    int patience = session.config().validation().patience();
    if (patience > 0 && best.since() >= patience && !session.isFinished()) {
      trainer.end();
      session.listener().endsEarly(trainer.done(), best.waited());
    }
  }

  private Problem nothingLearnt() {
    return new Problem(
        Problem.Kind.DIVERGED,
        "nothing was learnt: all %d steps were skipped, because their fp16 gradients were not finite. No model is written. Try mixed_precision bf16 or no, or smaller loss weights."
            .formatted(trainer.done() - begun));
  }

  /** Goes on with the class images of these epochs, if others than those at hand. */
  private void refresh() {
    int generation = refreshing.times(trainer.done());
    if (generation > 0 && !session.isFinished()) {
      ClassImagePlan made =
          classImages.make(
              session.arena(), generation, session.listener(), session.stop(), session.ranks());
      if (made.missing() == 0) {
        trainer.show(pairs.apply(made));
        session.ranks().await(); // until then another may still look at those before
        if (writes()) {
          removeBefore(generation);
        }
      }
    }
  }

  private void removeBefore(int generation) {
    try {
      classImages.removeBefore(generation);
    } catch (Problem e) {
      session.warn("unused class images could not be deleted: " + e.getMessage());
    }
  }

  private void sample() {
    if (samples.count() == 0) {
      return;
    }
    int step = trainer.done();
    session.listener().sampling(step, samples.count());
    try {
      session.listener().sampled(step, samples.draw(session.arena(), session.stop()));
      sampled = step;
    } catch (CancellationException e) {
      session.warn("no samples after step " + step + ": the run was asked to end");
    } catch (Problem | IllegalStateException e) {
      session.warn("no samples after step " + step + ": " + e.getMessage());
    }
  }
}
