package dreambooth4j.train;

import dreambooth4j.FolderEntries;
import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.config.ConfigWriter;
import dreambooth4j.weights.FileLocks;
import dreambooth4j.weights.FolderChanges;
import dreambooth4j.weights.ModelSource;
import dreambooth4j.weights.ModelWriter;
import dreambooth4j.weights.SavedModel;
import dreambooth4j.weights.StagedFiles;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The folder that a run writes to: there before hours of work are spent on what cannot be kept, and
 * one run's alone. The lock is the system's, so it goes when the process does, however it ends; the
 * file {@code .lock} stays, for removing it would let a third run lock another of that name.
 */
final class OutputFolder implements AutoCloseable {
  private static final String METRICS = "metrics.jsonl";
  private static final String INDEX = "model_index.json";
  private static final String MODEL = "model-";

  /** The folder of the model of the least loss on held-out pictures. */
  static final String BEST = "model-best";

  /** Folders of models that are saved before a run's end. */
  private static final String MODELS = MODEL + "\\d+|" + BEST;

  /** Folders of ours whose files are written as parts first. */
  private static final String WITH_PARTS = "checkpoint-\\d+|samples|cache|class_images(-\\d+)?";

  private static final int DEPTH_OF_PARTS = 3;

  private final Config config;
  private final Path path;
  private final FileChannel lock;

  private OutputFolder(Config config, FileChannel lock) {
    this.config = config;
    this.path = config.output().outputDir();
    this.lock = lock;
  }

  /** Where the model of a run is saved after so many steps, before its end. */
  static Path modelOnTheWay(Path output, int step) {
    return output.resolve(MODEL + step);
  }

  /**
   * Finishes what a run was about to change in the folder when it was killed, so that it can be
   * looked at; does nothing in any other case.
   *
   * @throws Problem when it cannot be finished, or another run has the folder
   */
  static void recover(Path path) {
    if (FolderChanges.isPending(path)) {
      try (FileChannel lock = lock(path)) {
        FolderChanges.finish(path);
      } catch (IOException e) {
        throw unwritable(path, e);
      }
    }
  }

  /**
   * Makes the folder if need be and takes it.
   *
   * @throws Problem when it cannot be written, another run has it, or it holds what is not a run's
   */
  static OutputFolder take(Config config, ModelSource base) {
    Path path = config.output().outputDir();
    try {
      requireOwn(config, base);
      Files.createDirectories(path);
      if (!Files.isWritable(path)) {
        throw new AccessDeniedException(path.toString());
      }
      FileChannel lock = lock(path);
      try {
        OutputFolder folder = new OutputFolder(config, lock);
        folder.sweep();
        return folder;
      } catch (IOException | Problem e) {
        lock.close();
        throw e;
      }
    } catch (IOException e) {
      throw unwritable(path, e);
    }
  }

  /**
   * Notes that this is now the run that was started here last, which {@code latest} means: one that
   * does not continue what lies there leaves a mark until it {@linkplain #begin begins}, however it
   * ends before.
   *
   * @throws Problem when that cannot be written
   */
  void start(Start start) {
    Path mark = Mark.STARTING.in(path);
    try {
      if (start.continues()) {
        Files.deleteIfExists(mark);
      } else {
        StagedFiles.write(mark, Mark.STARTING.content(path, start.checkpoint()));
      }
    } catch (IOException e) {
      throw unwritable(path, e);
    }
  }

  private static Problem unwritable(Path path, IOException e) {
    return new Problem(
        Problem.Kind.FAILED,
        "output_dir %s cannot be written: %s. Give another output_dir."
            .formatted(path, Problem.why(e)),
        e);
  }

  /** What lies there may be somebody else's: nothing of it is written over. */
  private static void requireOwn(Config config, ModelSource base) throws IOException {
    Path path = config.output().outputDir();
    Path result = ModelWriter.singleFile(path);
    requireOther(path, base.path(), "is the base model's own folder");
    for (var concept : config.concepts()) {
      requireOther(
          path,
          concept.instanceDataDir(),
          "is the instance_data_dir of a concept: its samples would be trained on");
      requireOther(
          path,
          concept.classImages().dataDir(),
          "is the class_data_dir of a concept: its samples would be trained on as class images");
    }
    if (!Files.exists(path)) {
      return;
    }
    requireOther(result, base.path(), "holds the base model's own file");
    EarlierRun.requireElsewhere(path, base.path(), "the base model");
    if (config.lora().weights() != null) {
      EarlierRun.requireElsewhere(path, config.lora().weights(), "lora_weights");
    }
    Path written = path.resolve(ConfigWriter.FILE);
    if (Files.exists(written) && !ConfigWriter.wrote(written)) {
      throw Problem.usage(
          "output_dir has a %s of your own, %s, where the run would write its own: rename it, or give another output_dir"
              .formatted(ConfigWriter.FILE, written));
    }
    Stream.concat(Stream.of(METRICS, INDEX).map(path::resolve), marks(path))
        .forEach(OutputFolder::requireFileOrNothing);
    SavedModel.requireOwn(path, List.of(path.resolve(INDEX), result));
  }

  private static Stream<Path> marks(Path path) {
    return Arrays.stream(Mark.values()).map(mark -> mark.in(path));
  }

  private static void requireFileOrNothing(Path file) {
    if (Files.exists(file) && !Files.isRegularFile(file)) {
      throw Problem.usage(
          "output_dir has a %s that is no file, where the run would write its own: move %s away, or give another output_dir"
              .formatted(file.getFileName(), file));
    }
  }

  private static void requireOther(Path path, Path other, String is) throws IOException {
    boolean there = Files.exists(path) && Files.exists(other);
    if (there ? Files.isSameFile(path, other) : other.toAbsolutePath().normalize().equals(path)) {
      throw Problem.usage("output_dir %s, %s. Give another output_dir.".formatted(is, path));
    }
  }

  /** Locks the folder, until the channel is closed. */
  private static FileChannel lock(Path path) throws IOException {
    Path file = path.resolve(FileLocks.OF_RUN);
    requireFileOrNothing(file);
    FileChannel lock = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    if (!FileLocks.isOurs(lock)) {
      lock.close();
      throw Problem.usage(
          "another run writes to output_dir %s: wait for its end, or give another output_dir"
              .formatted(path));
    }
    return lock;
  }

  /** Finishes the changes and removes the parts of files that killed runs left, and the cache's. */
  private void sweep() throws IOException {
    FolderChanges.finish(path);
    StagedFiles.sweep(path);
    for (Path each : FolderEntries.of(path)) {
      String name = String.valueOf(each.getFileName());
      if (Files.isDirectory(each) && name.matches(WITH_PARTS)) {
        sweepBelow(each);
      } else if (Files.isDirectory(each) && name.matches(MODELS)) {
        FolderChanges.finish(each);
        StagedFiles.removeIfEmpty(each);
      }
    }
    Path cache = config.output().cacheDir();
    if (cache != null && Files.isDirectory(cache)) {
      sweepBelow(cache);
    }
    CheckpointFolder.removeEmpty(path);
  }

  private static void sweepBelow(Path folder) {
    FolderEntries.foldersBelow(folder, DEPTH_OF_PARTS).forEach(StagedFiles::sweep);
  }

  /**
   * Begins a run that does not continue what lies there: sets aside what an {@linkplain EarlierRun
   * earlier one} left of itself, all of it or nothing.
   *
   * @return a note that says so; null if there is nothing of the kind
   */
  @Nullable String begin(Start start) {
    try (FolderChanges changes = new FolderChanges(path)) {
      String note = new EarlierRun(path, start.keptUpTo(path)).setAside(changes);
      changes.add(
          Mark.UNFINISHED.in(path),
          StagedFiles.Body.of(Mark.UNFINISHED.content(path, start.checkpoint())));
      changes.delete(Mark.STARTING.in(path));
      changes.commit();
      return note;
    } catch (IOException e) {
      throw new Problem(
          Problem.Kind.FAILED,
          "what an earlier run may have left in %s cannot be listed and renamed: %s"
              .formatted(path, Problem.why(e)),
          e);
    }
  }

  /**
   * Moves the best model so far to a place of its own.
   *
   * @return that place; null if there is no best model
   */
  @Nullable Path setBestAside() {
    try (FolderChanges changes = new FolderChanges(path)) {
      Path place = EarlierRun.setBestAside(path, changes);
      if (place != null) {
        changes.commit();
      }
      return place;
    } catch (IOException e) {
      throw new Problem(
          Problem.Kind.FAILED,
          "the best model so far cannot be moved away in %s: %s".formatted(path, Problem.why(e)),
          e);
    }
  }

  /** Keeps the configuration as it was resolved. */
  void write(Config resolved) {
    StagedFiles.write(
        path.resolve(ConfigWriter.FILE),
        ConfigWriter.toYaml(resolved).getBytes(StandardCharsets.UTF_8));
  }

  /** Notes that the run is at its end. */
  void end() {
    try {
      Files.deleteIfExists(Mark.UNFINISHED.in(path));
    } catch (IOException e) {
      // resume_from_checkpoint latest then does again what is done, to the same end.
    }
  }

  /** Lets go of the folder. */
  @Override
  public void close() {
    try {
      lock.close();
    } catch (IOException e) {
      // The process is about to end, and the lock with it.
    }
  }
}
