package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.config.ConfigWriter;
import dreambooth4j.weights.ModelFolder;
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

  private final Path path;
  private final FileChannel lock;

  private OutputFolder(Path path, FileChannel lock) {
    this.path = path;
    this.lock = lock;
  }

  /**
   * Makes the folder if need be and takes it.
   *
   * @throws Problem when it cannot be written, another run has it, or it is the base model's own
   */
  static OutputFolder take(Path path, ModelFolder base) {
    try {
      if (Files.exists(path) && Files.isSameFile(path, base.path())) {
        throw Problem.usage(
            "output_dir is the base model's own folder, %s: it would be overwritten. Give another output_dir."
                .formatted(path));
      }
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
      return new OutputFolder(path, lock);
    } catch (IOException e) {
      throw new Problem(
          Problem.Kind.FAILED,
          "output_dir %s cannot be written: %s. Give another output_dir."
              .formatted(path, Problem.why(e)),
          e);
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
   * configuration and its samples are not written over: {@code metrics-1.jsonl} and so on.
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
      return "%s holds an earlier run: its metrics, configuration and samples are kept as metrics-%d.jsonl and so on; its model is replaced at the end"
          .formatted(path, number);
    } catch (IOException e) {
      throw new Problem(
          Problem.Kind.FAILED,
          "what an earlier run left in %s cannot be renamed: %s".formatted(path, Problem.why(e)),
          e);
    }
  }

  private boolean isTaken(int number) {
    return TRACES.stream()
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
