package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.ProcessMemory;
import dreambooth4j.weights.FolderChanges;
import dreambooth4j.weights.Group;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Compares what a run is going to write with the room on its disk, before its first step. */
final class DiskSpace {
  private static final int F32_BYTES = 4;

  private DiskSpace() {}

  /**
   * What is worth knowing of the room on the disk of the output folder, which is there.
   *
   * @param there the checkpoints that the run has there already; none of a run that begins anew
   * @return a note where fewer checkpoints fit than the run is going to write; null if all fit, or
   *     the system does not say how much is free
   * @throws Problem when not even the trained model fits, or its files could not be put in their
   *     places
   */
  static @Nullable String note(Session session, List<Path> there) {
    Path output = session.config().output().outputDir();
    FolderChanges.requireOneDisk(output, model(session, output).keySet());
    try {
      return note(session, output, there, Files.getFileStore(output).getUsableSpace());
    } catch (IOException e) {
      return null;
    }
  }

  /**
   * As {@link #note(Session, List)}.
   *
   * @param free bytes; 0 where the system does not say, as some that reach over a network do: if it
   *     is so, the next file that is written says it, before the first step
   */
  static @Nullable String note(Session session, Path output, List<Path> there, long free) {
    if (free <= 0) {
      return null;
    }
    long model = model(session, output).values().stream().mapToLong(Long::longValue).sum();
    if (free < model) {
      throw new Problem(
          Problem.Kind.FAILED,
          "output_dir %s has %s free and the trained model takes %s: make room there, or give another output_dir"
              .formatted(output, ProcessMemory.shown(free), ProcessMemory.shown(model)));
    }
    long checkpoint = session.trainer().training().optimizer().stateBytes();
    for (Group group : session.model().trained()) {
      checkpoint += weightBytes(group.parameters());
    }
    long fit = (free - model) / checkpoint;
    long wanted = checkpoints(session, there);
    return fit >= wanted
        ? null
        : "output_dir %s has %s free: beside the model %d of the %d checkpoints that are still to be written and kept fit, which take %s each. Make room there, or set checkpoints_total_limit or checkpointing_steps"
            .formatted(
                output, ProcessMemory.shown(free), fit, wanted, ProcessMemory.shown(checkpoint));
  }

  /** What the first save writes that is not there: parts that did not train are copied once. */
  private static Map<Path, Long> model(Session session, Path output) {
    return session.model().files(session.arena(), output);
  }

  /** What a checkpoint has of the weights themselves: what trains, and its average. */
  private static long weightBytes(Parameters weights) {
    long average = weights.average() == null ? 0 : F32_BYTES;
    return weights.flatCount() * (weights.masters().dtype().bytes() + average);
  }

  /**
   * How many more are on the disk at once: each is complete before one of the same step is replaced
   * or the oldest is deleted.
   */
  private static long checkpoints(Session session, List<Path> there) {
    Trainer trainer = session.trainer();
    Schedule saving = session.saving();
    boolean atEnd = session.config().output().saveStateAfter();
    long written = (long) saving.times(trainer.steps() - 1) - saving.times(trainer.done());
    long again =
        there.stream()
            .mapToLong(Checkpoints::step)
            .filter(step -> step > trainer.done())
            .filter(
                step ->
                    step == trainer.steps()
                        ? atEnd
                        : step < trainer.steps() && saving.isDue((int) step))
            .count();
    long more = written + (atEnd ? 1 : 0) - again;
    Integer limit = session.config().output().checkpointsTotalLimit();
    long most = limit == null ? Long.MAX_VALUE : 1L + limit - there.size();
    return written <= 0 && !atEnd ? 0 : Math.max(1, Math.min(more, most));
  }
}
