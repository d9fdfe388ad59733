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
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

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
   * @param there the checkpoints that the run has there already
   * @return notes where models or checkpoints do not fit that the run is going to write; none where
   *     the system does not say how much is free
   */
  static List<String> notes(Session session, List<Path> there) {
    return notes(session, there, free(session.config().output().outputDir()));
  }

  static List<String> notes(Session session, List<Path> there, long free) {
    if (free <= 0) {
      return List.of();
    }
    Path output = session.config().output().outputDir();
    String has = "output_dir %s has %s free: ".formatted(output, ProcessMemory.shown(free));
    List<String> notes = new ArrayList<>();
    long last = sum(session.model().files(session.arena(), output));
    long onTheWay = modelsOnTheWay(session);
    long models = last + onTheWay * modelOnTheWay(session, 0);
    if (free < models) {
      notes.add(
          has
              + (onTheWay == 0
                  ? "the trained model takes %s. Make room there before the end"
                      .formatted(ProcessMemory.shown(last))
                  : "the trained model and the %d that save_model_every adds take %s. Those that would leave too little for the trained model are left out: make room there, or raise save_model_every"
                      .formatted(onTheWay, ProcessMemory.shown(models))));
    }
    long checkpoint = checkpointBytes(session);
    long fit = Math.max(0, (free - models) / checkpoint);
    long wanted = checkpoints(session, there);
    if (fit < wanted) {
      notes.add(
          has
              + "beside the %s %d of the %d checkpoints that are still to be written and kept fit, which take %s each. Make room there, or set checkpoints_total_limit or checkpointing_steps"
                  .formatted(
                      onTheWay > 0 ? "models" : "model",
                      fit,
                      wanted,
                      ProcessMemory.shown(checkpoint)));
    }
    return notes;
  }

  /** Whether the trained model still fits once the one of this step lies beside it. */
  static boolean leavesRoomForTheLast(Session session, int step) {
    return leavesRoomForTheLast(session, step, free(session.config().output().outputDir()));
  }

  static boolean leavesRoomForTheLast(Session session, int step, long free) {
    Path output = session.config().output().outputDir();
    long last = sum(session.model().files(session.arena(), output));
    return free <= 0 || free >= modelOnTheWay(session, step) + last;
  }

  /** How many models are to be saved before the last. */
  private static long modelsOnTheWay(Session session) {
    Trainer trainer = session.trainer();
    Schedule saving = session.savingModels();
    return Math.max(0, (long) saving.times(trainer.steps() - 1) - saving.times(trainer.done()));
  }

  /** Bytes that are written for the model of a step. */
  private static long modelOnTheWay(Session session, int step) {
    Path output = session.config().output().outputDir();
    return sum(session.model().files(session.arena(), OutputFolder.modelOnTheWay(output, step)));
  }

  private static long checkpointBytes(Session session) {
    long checkpoint = session.trainer().stateBytes();
    for (Group group : session.model().trained()) {
      checkpoint += weightBytes(group.parameters(), session.config().ema().used());
    }
    return checkpoint;
  }

  private static long sum(Map<Path, Long> files) {
    return files.values().stream().mapToLong(Long::longValue).sum();
  }

  /** What a checkpoint has of the weights themselves: what trains, and its average. */
  private static long weightBytes(Parameters weights, boolean averages) {
    long average = averages ? F32_BYTES : 0;
    return weights.flatCount() * (weights.masters().dtype().bytes() + average);
  }

  /** How many more are on the disk at once: each is complete before the oldest is deleted. */
  private static long checkpoints(Session session, List<Path> there) {
    Trainer trainer = session.trainer();
    Schedule saving = session.saving();
    boolean atEnd = session.config().output().saveStateAfter();
    long written =
        Math.max(0, (long) saving.times(trainer.steps() - 1) - saving.times(trainer.done()));
    long more = written + (atEnd ? 1 : 0);
    Integer limit = session.config().output().checkpointsTotalLimit();
    long most = limit == null ? Long.MAX_VALUE : 1L + limit + kept(session) - there.size();
    return more == 0 ? 0 : Math.max(1, Math.min(more, most));
  }

  /** Those that are never deleted, of all steps. */
  private static long kept(Session session) {
    int every = session.config().output().checkpointsKeepEvery();
    return every == 0 ? 0 : session.trainer().steps() / every;
  }
}
