package dreambooth4j.train;

import dreambooth4j.FolderEntries;
import dreambooth4j.Problem;
import dreambooth4j.weights.StagedFiles;
import java.io.IOException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The folder of a checkpoint, {@code checkpoint-<step>} in a run's output folder, by its name. */
final class CheckpointFolder {
  private static final String PREFIX = "checkpoint-";
  private static final String FILE = "training_state.safetensors";

  private CheckpointFolder() {}

  /** The folder of a step, there or not. */
  static Path of(Path output, long step) {
    return output.resolve(PREFIX + step);
  }

  /** The file that holds the state. */
  static Path file(Path folder) {
    return folder.resolve(FILE);
  }

  /** The step that a checkpoint's folder is named for; -1 if it is named otherwise. */
  static long step(Path folder) {
    String name = String.valueOf(folder.getFileName());
    return name.matches(PREFIX + "\\d{1,10}")
        ? Long.parseLong(name.substring(PREFIX.length()))
        : -1;
  }

  /** Whether a folder holds a checkpoint: its file appears only when it is complete. */
  static boolean isComplete(Path folder) {
    return Files.isRegularFile(file(folder));
  }

  /**
   * Refuses what holds none.
   *
   * @throws Problem of kind DATA
   */
  static void requireComplete(Path folder) {
    if (!isComplete(folder)) {
      throw Problem.data("%s: expected a checkpoint with a %s, found none".formatted(folder, FILE));
    }
  }

  /** Whether it is one of those that lie in an output folder, complete or not. */
  static boolean isOwn(Path output, Path checkpoint) {
    return step(checkpoint) >= 0 && isSame(output.resolve(checkpoint.getFileName()), checkpoint);
  }

  /** Whether both are the same folder, whatever links lead there; no if one is missing. */
  static boolean isSame(Path one, Path other) {
    try {
      return Files.isSameFile(one, other);
    } catch (IOException e) {
      return false; // one of them is not there
    }
  }

  /** Complete ones in an output folder, by their steps. */
  static List<Path> allIn(Path output) {
    if (!Files.isDirectory(output)) {
      return List.of();
    }
    try {
      return FolderEntries.of(output).stream()
          .filter(file -> step(file) >= 0 && isComplete(file))
          .sorted(Comparator.comparingLong(CheckpointFolder::step))
          .toList();
    } catch (IOException e) {
      throw Problem.data(output + " cannot be read: " + Problem.why(e));
    }
  }

  /** The last complete one beside it that has fewer steps; null if there is none. */
  static @Nullable Path before(Path checkpoint) {
    return allIn(checkpoint.resolveSibling("")).stream()
        .filter(each -> step(each) < step(checkpoint))
        .reduce((one, next) -> next)
        .orElse(null);
  }

  /** Removes a checkpoint, and its folder unless something else lies there. */
  static void delete(Path folder) {
    try {
      Files.deleteIfExists(file(folder));
      Files.deleteIfExists(folder);
    } catch (DirectoryNotEmptyException e) {
      return; // not ours to remove
    } catch (IOException e) {
      throw Problem.data(folder + " cannot be removed: " + Problem.why(e));
    }
  }

  /** Removes the empty folders of those that a process was killed over. */
  static void removeEmpty(Path output) throws IOException {
    FolderEntries.of(output).stream()
        .filter(file -> step(file) >= 0 && Files.isDirectory(file))
        .forEach(StagedFiles::removeIfEmpty);
  }
}
