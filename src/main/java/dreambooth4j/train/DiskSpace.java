package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.ProcessMemory;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.weights.FolderChanges;
import dreambooth4j.weights.Group;
import dreambooth4j.weights.SavedModel;
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
    long last = bytes(session, output);
    int onTheWay = modelsOnTheWay(session);
    boolean best = isBestToCome(session);
    long models = last + onTheWay * bytes(session, OutputFolder.modelOnTheWay(output, 0));
    if (best) {
      models += bytes(session, output.resolve(OutputFolder.BEST));
    }
    int beside = onTheWay + (best ? 1 : 0);
    if (free < models) {
      notes.add(
          has
              + (beside == 0
                  ? "the trained model takes %s. Free space there before the run ends"
                      .formatted(ProcessMemory.shown(last))
                  : "the trained model and the %d of %s take %s. Copies that would leave too little space for the final model are not saved: free space there, or save fewer"
                      .formatted(beside, keys(onTheWay, best), ProcessMemory.shown(models))));
    }
    long checkpoint = checkpointBytes(session);
    long fit = Math.max(0, (free - models) / checkpoint);
    long wanted = checkpoints(session, there);
    if (fit < wanted) {
      notes.add(
          has
              + "beside the %s %d of the %d checkpoints that are still to be written and kept fit, which take %s each. Make room there, or set checkpoints_total_limit or checkpointing_steps"
                  .formatted(
                      beside > 0 ? "models" : "model",
                      fit,
                      wanted,
                      ProcessMemory.shown(checkpoint)));
    }
    return notes;
  }

  /** The keys that save models beside the last. */
  private static String keys(int onTheWay, boolean best) {
    String every = onTheWay > 0 ? "save_model_every" : "";
    return every + (onTheWay > 0 && best ? " and " : "") + (best ? "save_best" : "");
  }

  /** Whether the trained model still fits once there is one in this folder of the output folder. */
  static boolean leavesRoomForTheLast(Session session, Path folder) {
    return leavesRoomForTheLast(session, folder, free(session.config().output().outputDir()));
  }

  static boolean leavesRoomForTheLast(Session session, Path folder, long free) {
    Map<Path, Long> files = session.model().files(session.arena(), folder);
    long written = sum(files);
    long replaced =
        files.entrySet().stream()
            .filter(each -> each.getValue() > 0)
            .mapToLong(each -> bytesOf(each.getKey()))
            .sum();
    long last = bytes(session, session.config().output().outputDir());
    return free <= 0 || (free >= written && free - written + replaced >= last);
  }

  /** Bytes of a file; 0 if it is not there. */
  private static long bytesOf(Path file) {
    try {
      return Files.size(file);
    } catch (IOException e) {
      return 0;
    }
  }

  /** How many models are to be saved before the last. */
  private static int modelsOnTheWay(Session session) {
    Trainer trainer = session.trainer();
    Schedule saving = session.savingModels();
    return Math.max(0, saving.times(trainer.steps() - 1) - saving.times(trainer.done()));
  }

  /** Whether a best model will lie there that does not yet: another takes its place. */
  private static boolean isBestToCome(Session session) {
    return session.config().validation().saveBest()
        && !session.isFinished()
        && !SavedModel.isIn(session.config().output().outputDir().resolve(OutputFolder.BEST));
  }

  /** Bytes that are written for the model in a folder. */
  private static long bytes(Session session, Path folder) {
    return sum(session.model().files(session.arena(), folder));
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
