package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.pipeline.TextEncoding;
import dreambooth4j.weights.SavedModel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.function.ObjIntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * Saves what a run has learnt: checkpoints on the way, the model at its end. What cannot be written
 * costs as little as it can: the smaller model takes a checkpoint's place, or the other way round.
 */
final class Saver {
  private final Session session;
  private final Checkpoints checkpoints;
  private final Path output;
  private final double nanosecondsBetween;

  /** When a checkpoint was last tried, by the clock. */
  private long tried;

  /** Whether the model that lies there is this run's, of fewer steps. */
  private boolean modelIsOwn;

  Saver(Session session, Checkpoints checkpoints) {
    this.session = session;
    this.checkpoints = checkpoints;
    this.output = session.config().output().outputDir();
    nanosecondsBetween =
        session.config().output().checkpointingMinutes() * TimeUnit.MINUTES.toNanos(1);
    tried = System.nanoTime();
  }

  /** Whether checkpointing_minutes have passed since a checkpoint was last tried. */
  boolean isDueByTheClock() {
    return nanosecondsBetween > 0 && System.nanoTime() - tried >= nanosecondsBetween;
  }

  /**
   * Saves a checkpoint and removes those beyond checkpoints_total_limit.
   *
   * @throws Problem when the weights are not finite, or it cannot be written
   */
  private void saveCheckpoint() {
    Trainer trainer = session.trainer();
    Divergence.requireFinite(session.model(), trainer.done());
    Path saved = checkpoints.save(trainer);
    session.listener().saved(saved, trainer.done());
    removeOldCheckpoints();
  }

  /** Removes checkpoints beyond checkpoints_total_limit, those that a killed run left too. */
  private void removeOldCheckpoints() {
    try {
      checkpoints.removeOld();
    } catch (Problem e) {
      session.warn("an old checkpoint could not be deleted: " + e.getMessage());
    }
  }

  /**
   * Saves the model, in place of the one that was there.
   *
   * @throws Problem when the weights are not finite, or it cannot be written
   */
  private void saveModel() {
    saveModel(output);
    session.listener().savedResult(result(), session.trainer().done());
    modelIsOwn = true;
  }

  private void saveModel(Path folder) {
    Divergence.requireFinite(session.model(), session.trainer().done());
    TextEncoding encoding = TextEncoding.of(session.config().model());
    session.model().save(session.arena(), encoding.notes(), folder);
  }

  /** Saves adapters once more, which carry a picture of what they draw: there is a newer one. */
  void showSample() {
    if (session.config().lora().used() && modelIsOwn) {
      Problem failed = failure(() -> saveModel(output));
      if (failed != null) {
        session.warn("the LoRA has no picture of its last samples: " + failed.getMessage());
      }
    }
  }

  private boolean hasModel() {
    return SavedModel.isIn(output);
  }

  /** The model's folder, or the file of adapters. */
  private Path result() {
    return session.model().result(output);
  }

  /**
   * Saves a checkpoint between two steps. Where it cannot be written that is said and the run goes
   * on; if there is none that it could be resumed from, the model is saved instead, unless that of
   * an earlier run lies in its place.
   *
   * @throws Problem when the weights are not finite
   */
  void duringRun() {
    tried = System.nanoTime();
    Problem failed = failure(this::saveCheckpoint);
    if (failed == null) {
      return;
    }
    session.warn(
        "no checkpoint was written after step %d: %s The run continues; %s."
            .formatted(
                session.trainer().done(),
                sentence(failed.getMessage()),
                session.trainer().lacksStates()
                    ? "for one that can save checkpoints "
                        + MemoryForecast.fewerStates(session.config())
                    : "free space in %s before it ends".formatted(output)));
    if (!checkpoints.all().isEmpty()) {
      return;
    }
    if (hasModel() && !modelIsOwn) {
      session.warn(
          "nothing of this run is saved yet: the model in %s is an earlier run's and is replaced at the end only"
              .formatted(output));
      return;
    }
    failed = failure(this::saveModel);
    if (failed != null) {
      session.warn("the model cannot be saved either: " + failed.getMessage());
    }
  }

  /**
   * Saves the model as it is between two steps, beside the others; where it cannot be written that
   * is said and the run goes on.
   *
   * @throws Problem when the weights are not finite
   */
  void modelOnTheWay() {
    beside(folderOnTheWay(), session.listener()::savedOnTheWay);
  }

  /**
   * Saves the model as it is as the best so far, in place of the one before; as the other.
   *
   * @return whether it could
   */
  boolean bestModel() {
    return beside(best(), session.listener()::savedBest);
  }

  /** Whether a best model lies there. */
  boolean hasBest() {
    return SavedModel.isIn(best());
  }

  private Path best() {
    return output.resolve(OutputFolder.BEST);
  }

  private boolean beside(Path folder, ObjIntConsumer<Path> saved) {
    int step = session.trainer().done();
    if (!DiskSpace.leavesRoomForTheLast(session, folder)) {
      session.warn(
          "the model of step %d is not saved: it would leave too little space for the model at the end of the run; free space in %s"
              .formatted(step, output));
      return false;
    }
    Problem failed = failure(() -> saveModel(folder));
    if (failed != null) {
      session.warn("the model of step %d was not saved: %s".formatted(step, failed.getMessage()));
      return false;
    }
    saved.accept(session.model().result(folder), step);
    return true;
  }

  /** Whether the model as it is has been saved beside the others, in all forms that it has. */
  boolean hasModelOnTheWay() {
    return session.model().files(session.arena(), folderOnTheWay()).keySet().stream()
        .allMatch(Files::exists);
  }

  private Path folderOnTheWay() {
    return OutputFolder.modelOnTheWay(output, session.trainer().done());
  }

  /**
   * Saves the model at the end of a run, and a checkpoint where the run was stopped, was told to
   * keep one, or the model cannot be written.
   *
   * @param learnt whether there is more to save than when the run began
   * @throws Problem when the weights are not finite, or when one of them could not be written: the
   *     other was tried all the same
   */
  void atEnd(boolean learnt) {
    boolean stopped = !session.isFinished();
    Problem checkpoint = stopped ? failure(this::saveCheckpoint) : null;
    Problem model = failure(this::saveModel);
    boolean wanted = session.config().output().saveStateAfter() || model != null;
    if (!stopped && learnt && wanted) {
      checkpoint = failure(this::saveCheckpoint);
    }
    removeOldCheckpoints();
    if (model != null && checkpoint != null) {
      session.warn("a checkpoint cannot be saved either: " + checkpoint.getMessage());
    }
    if (model != null || checkpoint != null) {
      throw model != null ? model : checkpoint;
    }
  }

  /** Why something could not be written; null if it was. */
  private static @Nullable Problem failure(Runnable save) {
    try {
      save.run();
      return null;
    } catch (Problem e) {
      if (e.kind() != Problem.Kind.FAILED) {
        throw e;
      }
      return e;
    }
  }

  /**
   * Saves a checkpoint if it can, where something else ends the run: that is what is reported. None
   * is written of a step that has updated some weights and not others: a run that goes on from it
   * would not be the one that it says it is. Where there is no checkpoint, the model is saved: in
   * place of one that this run saved before, not of an earlier run's.
   *
   * @throws Problem when the model cannot be saved either, for another reason than its disk
   */
  void keepSteps() {
    String why = whyNoCheckpoint();
    if (why == null) {
      return;
    }
    Path newest = checkpoints.newest();
    if (newest == null) {
      session.warn(why);
      keepModel(modelIsOwn);
    } else {
      session.warn(
          "%s The newest checkpoint is %s, and the steps after it are lost"
              .formatted(sentence(why), newest));
    }
  }

  /** Saves a checkpoint after an error; why it cannot be, or null. */
  private @Nullable String whyNoCheckpoint() {
    if (session.trainer().isUpdating()) {
      return "step %d had updated some of the weights and not all when it failed, so no checkpoint is written of it"
          .formatted(session.trainer().done() + 1);
    }
    try {
      saveCheckpoint();
      return null;
    } catch (Problem | IllegalStateException e) {
      return "no checkpoint can be saved: " + e.getMessage();
    }
  }

  private static String sentence(@Nullable String message) {
    String text = String.valueOf(message);
    return text.endsWith(".") ? text : text + ".";
  }

  /**
   * Saves the model of a run that diverged. The weights are those before the step that failed.
   * Finite as they are, they may be on their way out: they never take the place of a model that was
   * there before.
   */
  void keepLastGood() {
    keepModel(false);
  }

  private void keepModel(boolean replaces) {
    if (hasModel() && !replaces) {
      session.warn(
          "nothing is written: the model in %s, of %s, stays as it was"
              .formatted(output, modelIsOwn ? "fewer steps of this run" : "an earlier run"));
    } else if (session.model().firstBadWeight() != null) {
      session.warn("nothing is written: the weights hold numbers that are not finite");
    } else {
      Problem failed = failure(this::saveModel);
      if (failed != null) {
        session.warn("what was learnt could not be saved: " + failed.getMessage());
        return;
      }
      boolean inPart =
          session.config().memory().fusedBackwardPass() || session.trainer().isUpdating();
      boolean midst = inPart && !session.trainer().averages();
      session.warn(
          "saved are the weights %s step %d%s"
              .formatted(
                  midst ? "in the midst of" : "before",
                  session.trainer().done() + 1,
                  checkpoints.newest() == null
                      ? ""
                      : "; those of an earlier checkpoint may be better"));
    }
  }
}
