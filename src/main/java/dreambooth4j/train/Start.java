package dreambooth4j.train;

import dreambooth4j.Problem;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * Where a run begins, by resume_from_checkpoint.
 *
 * @param checkpoint what it goes on from; null for the base model
 * @param continues whether it is the run that the output folder holds. Any other sets aside what
 *     lies there of the time after its checkpoint; all of it where that is none of the folder's own
 */
record Start(@Nullable Path checkpoint, boolean continues) {
  /** As {@link #checkpoint} of the run that the folder's mark is of. */
  static Start of(Mark mark, Path output, boolean continues) {
    Path from = mark.from(output);
    if (from != null && !CheckpointFolder.isComplete(from)) {
      throw Problem.data(
          "%s: the run that was started there last goes on from %s, which is missing or not a checkpoint: put it back, name another one by resume_from_checkpoint, or leave that key out to start a new run"
              .formatted(output, from));
    }
    return new Start(from, continues);
  }

  /** The step up to which the folder's own is this run's too; -1 if nothing is. */
  long keptUpTo(Path output) {
    return checkpoint != null && CheckpointFolder.isOwn(output, checkpoint)
        ? CheckpointFolder.step(checkpoint)
        : -1;
  }
}
