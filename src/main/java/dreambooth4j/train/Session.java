package dreambooth4j.train;

import dreambooth4j.config.Config;
import dreambooth4j.config.OutputConfig;
import dreambooth4j.distributed.Ranks;
import dreambooth4j.engine.Arena;
import dreambooth4j.pipeline.StableDiffusion;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * What the parts of a training that has begun share.
 *
 * @param config as the run was given it
 * @param listener is told what happens
 * @param stop true asks the run to save and end
 * @param arena holds the model and all that trains
 * @param model what is trained
 * @param ranks the processes that train it together
 */
record Session(
    Config config,
    RunListener listener,
    BooleanSupplier stop,
    Arena arena,
    StableDiffusion model,
    Trainer trainer,
    Ranks ranks) {
  /** When checkpoints are written. */
  Schedule saving() {
    OutputConfig output = config.output();
    return Schedule.of(
        output.checkpointingSteps(), output.saveEmbeddingEvery(), trainer.stepsPerEpoch());
  }

  /** When a model on the way is saved. */
  Schedule savingModels() {
    return Schedule.of(config.output().saveModelEvery(), 0, trainer.stepsPerEpoch());
  }

  /** Whether it is asked to end, on any rank: all ranks ask this at the same time. */
  boolean isStopped() {
    return ranks.any(stop.getAsBoolean());
  }

  /** Whether all steps are done. */
  boolean isFinished() {
    return trainer.isFinished();
  }

  /** Tells the listener, if there is something to tell. */
  void warn(@Nullable String message) {
    if (message != null) {
      listener.warning(message);
    }
  }
}
