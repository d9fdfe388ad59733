package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.ProcessMemory;
import dreambooth4j.weights.Group;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** Compares what a run is going to write with the room on its disk, before its first step. */
final class DiskSpace {
  private static final int F32_BYTES = 4;

  private DiskSpace() {}

  /**
   * What is worth knowing of the room on the disk of the output folder, which is there.
   *
   * @return a note where fewer checkpoints fit than the run is going to write; null if all fit, or
   *     the system does not say how much is free
   * @throws Problem when not even the trained weights fit
   */
  static @Nullable String note(Session session) {
    Path output = session.config().output().outputDir();
    try {
      return note(session, output, Files.getFileStore(output).getUsableSpace());
    } catch (IOException e) {
      return null;
    }
  }

  static @Nullable String note(Session session, Path output, long free) {
    long model = 0;
    long checkpoint = session.trainer().training().optimizer().stateBytes();
    for (Group group : session.model().trained()) {
      model += F32_BYTES * group.parameters().count();
      checkpoint += weightBytes(group.parameters());
    }
    if (free < model) {
      throw new Problem(
          Problem.Kind.FAILED,
          "output_dir %s has %s free and the trained weights take %s: make room there, or give another output_dir"
              .formatted(output, ProcessMemory.shown(free), ProcessMemory.shown(model)));
    }
    long fit = (free - model) / checkpoint;
    long wanted = checkpoints(session);
    return fit >= wanted
        ? null
        : "output_dir %s has %s free: beside the model %d of the %d checkpoints that are written and kept fit, which take %s each. Make room there, or set checkpoints_total_limit or checkpointing_steps"
            .formatted(
                output, ProcessMemory.shown(free), fit, wanted, ProcessMemory.shown(checkpoint));
  }

  /** What a checkpoint has of the weights themselves: what trains, and its average. */
  private static long weightBytes(Parameters weights) {
    long average = weights.average() == null ? 0 : F32_BYTES;
    return weights.flatCount() * (weights.masters().dtype().bytes() + average);
  }

  /** How many are on the disk at once: one is written before the oldest is deleted. */
  private static long checkpoints(Session session) {
    Trainer trainer = session.trainer();
    Schedule saving = session.saving();
    long written = (long) saving.times(trainer.steps() - 1) - saving.times(trainer.done());
    if (session.config().output().saveStateAfter()) {
      written++;
    }
    Integer limit = session.config().output().checkpointsTotalLimit();
    long most = limit == null ? Long.MAX_VALUE : 1L + limit;
    return Math.min(most, Math.max(0, written));
  }
}
