package dreambooth4j.train;

import dreambooth4j.Problem;
import java.nio.file.Files;
import java.nio.file.Path;

/** Saves what a run has learnt: checkpoints on the way, the model at its end. */
final class Saver {
  private final Session session;
  private final Checkpoints checkpoints;
  private final Path output;

  Saver(Session session, Checkpoints checkpoints) {
    this.session = session;
    this.checkpoints = checkpoints;
    this.output = session.config().output().outputDir();
  }

  /**
   * Saves a checkpoint.
   *
   * @throws Problem when the weights are not finite, or it cannot be written
   */
  void saveCheckpoint() {
    Trainer trainer = session.trainer();
    Divergence.requireFinite(session.model(), trainer.done());
    session.listener().saved(checkpoints.save(trainer), trainer.done());
  }

  /**
   * Saves the model, in place of the one that was there.
   *
   * @throws Problem when the weights are not finite, or it cannot be written
   */
  void saveModel() {
    Divergence.requireFinite(session.model(), session.trainer().done());
    session.model().save(session.arena(), output);
    session.listener().saved(output, session.trainer().done());
  }

  /** Saves a checkpoint if it can, where something else ends the run: that is what is reported. */
  void keepSteps() {
    try {
      saveCheckpoint();
      if (session.config().memory().fusedBackwardPass()) {
        session.warn("with fused_backward_pass that may be in the midst of a step");
      }
    } catch (Problem e) {
      session.warn("what was learnt could not be saved either: " + e.getMessage());
    }
  }

  /**
   * Saves the model of a run that diverged. The weights are those before the step that failed.
   * Finite as they are, they may be on their way out: they never take the place of a model that was
   * there before.
   */
  void keepLastGood() {
    if (Files.exists(output.resolve("model_index.json"))) {
      session.warn("nothing is written: the model in " + output + " stays as it was");
    } else if (session.model().firstBadWeight() != null) {
      session.warn("nothing is written: the weights hold numbers that are not finite");
    } else {
      saveModel();
      boolean midst =
          session.config().memory().fusedBackwardPass() && !session.trainer().averages();
      session.warn(
          "saved are the weights %s step %d; those of an earlier checkpoint may be better"
              .formatted(midst ? "in the midst of" : "before", session.trainer().done() + 1));
    }
  }
}
