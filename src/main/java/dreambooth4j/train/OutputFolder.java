package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.config.ConfigWriter;
import dreambooth4j.config.OutputConfig;
import dreambooth4j.weights.ModelSource;
import dreambooth4j.weights.StagedFiles;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
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

  /** What a run leaves of itself beside the model: name and ending. */
  private static final List<List<String>> TRACES =
      List.of(List.of("metrics", ".jsonl"), List.of("config", ".yaml"), List.of("samples", ""));

  private static final String CHECKPOINTS = "checkpoints-";

  private final OutputConfig output;
  private final Path path;
  private final FileChannel lock;

  private OutputFolder(OutputConfig output, FileChannel lock) {
    this.output = output;
    this.path = output.outputDir();
    this.lock = lock;
  }

  /**
   * Makes the folder if need be and takes it.
   *
   * @throws Problem when it cannot be written, another run has it, or it is the base model's own
   */
  static OutputFolder take(OutputConfig output, ModelSource base) {
    Path path = output.outputDir();
    try {
      if (Files.exists(path) && Files.isSameFile(path, base.path())) {
        throw Problem.usage(
            "output_dir is the base model's own folder, %s: it would be overwritten. Give another output_dir."
                .formatted(path));
      }
      requireNoOther(path.resolve(ConfigWriter.FILE));
      Files.createDirectories(path);
      if (!Files.isWritable(path)) {
        throw new AccessDeniedException(path.toString());
      }
      FileChannel lock =
          FileChannel.open(
              path.resolve(".lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
      if (!isOurs(lock)) {
        lock.close();
        throw Problem.usage(
            "another run writes to output_dir %s: wait for its end, or give another output_dir"
                .formatted(path));
      }
      return new OutputFolder(output, lock);
    } catch (IOException e) {
      throw new Problem(
          Problem.Kind.FAILED,
          "output_dir %s cannot be written: %s. Give another output_dir."
              .formatted(path, Problem.why(e)),
          e);
    }
  }

  /** The configuration that the run itself was given may lie where the resolved one goes. */
  private static void requireNoOther(Path config) throws IOException {
    if (Files.isRegularFile(config)) {
      try (Stream<String> lines = Files.lines(config, StandardCharsets.ISO_8859_1)) {
        if (!lines.findFirst().orElse("").equals(ConfigWriter.HEADER)) {
          throw Problem.usage(
              "output_dir has a %s of your own, %s, where the run would write its own: rename it, or give another output_dir"
                  .formatted(ConfigWriter.FILE, config));
        }
      }
    }
  }

  private static boolean isOurs(FileChannel channel) {
    try {
      FileLock lock = channel.tryLock();
      return lock != null;
    } catch (OverlappingFileLockException e) {
      return false;
    } catch (IOException e) {
      return true; // a file system without locks: nobody can be asked
    }
  }

  /**
   * Renames what an earlier run that trained has left of itself, so that its metrics, its
   * configuration, its samples and its checkpoints are neither written over nor taken for the new
   * run's: {@code metrics-1.jsonl} and so on.
   *
   * @return a note that says so; null if there is nothing of the kind
   */
  @Nullable String setAside() {
    try {
      Path metrics = path.resolve(METRICS);
      if (!Files.exists(metrics) || Files.size(metrics) == 0) {
        return null;
      }
      int number = 1;
      while (isTaken(number)) {
        number++;
      }
      for (List<String> trace : TRACES) {
        Path from = path.resolve(String.join("", trace));
        if (Files.exists(from)) {
          Files.move(from, path.resolve(String.join("-" + number, trace)));
        }
      }
      for (Path checkpoint : new Checkpoints(output).all()) {
        Path aside = Files.createDirectories(path.resolve(CHECKPOINTS + number));
        Files.move(checkpoint, aside.resolve(checkpoint.getFileName()));
      }
      return "%s holds an earlier run: its metrics, configuration, samples and checkpoints are kept as metrics-%d.jsonl and so on; its model is replaced at the end"
          .formatted(path, number);
    } catch (IOException e) {
      throw new Problem(
          Problem.Kind.FAILED,
          "what an earlier run left in %s cannot be renamed: %s".formatted(path, Problem.why(e)),
          e);
    }
  }

  private boolean isTaken(int number) {
    return Files.exists(path.resolve(CHECKPOINTS + number))
        || TRACES.stream()
            .anyMatch(trace -> Files.exists(path.resolve(String.join("-" + number, trace))));
  }

  /** Keeps the configuration as it was resolved. */
  void write(Config config) {
    try (StagedFiles files = new StagedFiles()) {
      files.add(
          path.resolve(ConfigWriter.FILE),
          ConfigWriter.toYaml(config).getBytes(StandardCharsets.UTF_8));
      files.commit();
    }
  }

  @Override
  public void close() {
    try {
      lock.close();
    } catch (IOException e) {
      // The process is about to end, and the lock with it.
    }
  }
}
