package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.config.OutputConfig;
import dreambooth4j.weights.SavedModel;
import dreambooth4j.weights.StagedFiles;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The checkpoints of a run: {@code checkpoint-<step>} folders in its output folder. */
final class Checkpoints {
  /** What resume_from_checkpoint says for the last one written. */
  static final String LATEST = "latest";

  /** As that, or a new run where the folder has none. */
  private static final String AUTO = "auto";

  /** A run that is complete keeps a checkpoint there only if it is told to. */
  private static final String FINISHED =
      ", only a finished model (save_state_after: true would have kept one; to train that model on,"
          + " make it the pretrained_model_name_or_path of a run with another output_dir)";

  private final OutputConfig config;

  Checkpoints(OutputConfig config) {
    this.config = config;
  }

  /**
   * Where a run begins. {@code latest} is the run that was started here last: its newest
   * checkpoint, or what it began with where it was ended before it wrote one.
   *
   * @throws Problem when a checkpoint was asked for and is not there: starting over in silence
   *     would lose a run
   */
  Start start() {
    String wanted = config.resumeFromCheckpoint();
    if (wanted == null || (wanted.equals(AUTO) && nothingWasBegun())) {
      return new Start(null, false);
    }
    if (wanted.equals(LATEST) || wanted.equals(AUTO)) {
      return latest();
    }
    // As diffusers reads it, checkpoint-500 is one of this run's own.
    Path own = config.outputDir().resolve(wanted);
    Path checkpoint = Files.isDirectory(own) ? own : Path.of(wanted);
    CheckpointFolder.requireComplete(checkpoint);
    Path newest = newest();
    return new Start(checkpoint, newest != null && CheckpointFolder.isSame(newest, checkpoint));
  }

  private boolean nothingWasBegun() {
    Path output = config.outputDir();
    return newest() == null
        && !Mark.STARTING.isIn(output)
        && !Mark.UNFINISHED.isIn(output)
        && !SavedModel.isIn(output);
  }

  private Start latest() {
    Path output = config.outputDir();
    if (Mark.STARTING.isIn(output)) {
      return Start.of(Mark.STARTING, output, false);
    }
    Path newest = newest();
    if (newest != null) {
      return new Start(newest, true);
    }
    if (Mark.UNFINISHED.isIn(output)) {
      return Start.of(Mark.UNFINISHED, output, true);
    }
    boolean finished = Files.exists(output.resolve("model_index.json"));
    throw Problem.data(
        "%s has no checkpoint to resume from%s: leave out resume_from_checkpoint to start a new run"
            .formatted(output, finished ? FINISHED : ""));
  }

  /** The one with most steps; null if there is none. */
  @Nullable Path newest() {
    List<Path> all = all();
    return all.isEmpty() ? null : all.get(all.size() - 1);
  }

  /**
   * Saves one.
   *
   * @throws Problem when it cannot be written; nothing of it stays
   */
  Path save(Trainer trainer) {
    Path folder = CheckpointFolder.of(config.outputDir(), trainer.done());
    try {
      trainer.save(folder);
    } catch (Problem e) {
      StagedFiles.removeIfEmpty(folder);
      throw e;
    }
    return folder;
  }

  /**
   * Removes the oldest beyond checkpoints_total_limit, but for those of checkpoints_keep_every.
   *
   * @throws Problem when one cannot be removed
   */
  void removeOld() {
    Integer limit = config.checkpointsTotalLimit();
    if (limit != null) {
      List<Path> all = new ArrayList<>(all());
      all.removeIf(this::isKept);
      for (Path old : all.subList(0, Math.max(0, all.size() - limit))) {
        CheckpointFolder.delete(old);
      }
    }
  }

  /** Whether it is never removed. */
  boolean isKept(Path checkpoint) {
    int every = config.checkpointsKeepEvery();
    return every > 0 && CheckpointFolder.step(checkpoint) % every == 0;
  }

  /**
   * Complete ones, by their steps. All are of one run: what another left is set aside when a run
   * begins.
   */
  List<Path> all() {
    return CheckpointFolder.allIn(config.outputDir());
  }
}
