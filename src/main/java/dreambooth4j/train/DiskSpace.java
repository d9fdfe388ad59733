package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.ProcessMemory;
import dreambooth4j.pipeline.StableDiffusion;
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
   * Refuses a run whose model could not be saved; asked before hours of class images are made.
   *
   * @param output a folder, which is there
   * @throws Problem when the trained model does not fit, or something is in its files' places
   */
  static void requireModelFits(Arena arena, StableDiffusion model, Path output) {
    Map<Path, Long> files = model.files(arena, output);
    FolderChanges.requireOneDisk(output, files.keySet());
    requireModelFits(files, output, free(output));
  }

  static void requireModelFits(Map<Path, Long> files, Path output, long free) {
    long model = sum(files);
    if (free > 0 && free < model) {
      throw new Problem(
          Problem.Kind.FAILED,
          "output_dir %s has %s free and the trained model takes %s: make room there, or give another output_dir"
              .formatted(output, ProcessMemory.shown(free), ProcessMemory.shown(model)));
    }
  }

  /**
   * Bytes; 0 where the system does not say, as some that reach over a network do: if it is so, the
   * next file that is written says it, before the first step.
   */
  private static long free(Path output) {
    try {
      return Files.getFileStore(output).getUsableSpace();
    } catch (IOException e) {
      return 0;
    }
  }

  /**
   * What is worth knowing of the room on the disk of the output folder.
   *
   * @param there the checkpoints that the run has there already; none of a run that begins anew
   * @return a note where fewer checkpoints fit than the run is going to write; null if all fit, or
   *     the system does not say how much is free
   */
  static @Nullable String note(Session session, List<Path> there) {
    return note(session, there, free(session.config().output().outputDir()));
  }

  static @Nullable String note(Session session, List<Path> there, long free) {
    Path output = session.config().output().outputDir();
    long models = models(session, output);
    long checkpoint = session.trainer().stateBytes();
    for (Group group : session.model().trained()) {
      checkpoint += weightBytes(group.parameters(), session.config().ema().used());
    }
    long fit = Math.max(0, (free - models) / checkpoint);
    long wanted = checkpoints(session, there);
    return free <= 0 || fit >= wanted
        ? null
        : "output_dir %s has %s free: beside the %s %d of the %d checkpoints that are still to be written and kept fit, which take %s each. Make room there, or set checkpoints_total_limit or checkpointing_steps"
            .formatted(
                output,
                ProcessMemory.shown(free),
                session.config().output().saveModelEvery() > 0 ? "models" : "model",
                fit,
                wanted,
                ProcessMemory.shown(checkpoint));
  }

  /** The trained model, and those on the way to it that are not there yet. */
  private static long models(Session session, Path output) {
    Trainer trainer = session.trainer();
    Schedule saving = session.savingModels();
    long more = (long) saving.times(trainer.steps() - 1) - saving.times(trainer.done());
    Path anyOther = OutputFolder.modelOnTheWay(output, 0);
    return sum(session.model().files(session.arena(), output))
        + Math.max(0, more) * sum(session.model().files(session.arena(), anyOther));
  }

  private static long sum(Map<Path, Long> files) {
    return files.values().stream().mapToLong(Long::longValue).sum();
  }

  /** What a checkpoint has of the weights themselves: what trains, and its average. */
  private static long weightBytes(Parameters weights, boolean averages) {
    long average = averages ? F32_BYTES : 0;
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
    long most = limit == null ? Long.MAX_VALUE : 1L + limit + kept(session) - there.size();
    return written <= 0 && !atEnd ? 0 : Math.max(1, Math.min(more, most));
  }

  /** Those that are never deleted, of all steps. */
  private static long kept(Session session) {
    int every = session.config().output().checkpointsKeepEvery();
    return every == 0 ? 0 : session.trainer().steps() / every;
  }
}
