package dreambooth4j.weights;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import dreambooth4j.Problem;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Changes of the files in one folder that all happen, or none, wherever the process is killed. New
 * files are written to {@code .dreambooth-changes.part} there, beside a list of what is to be done;
 * renaming that folder to {@code .dreambooth-changes} decides that it will be done. From then on
 * {@link #finish} does it, now or in a later process, and nobody reads a model from the folder
 * before.
 *
 * <p>The place of the file added last stays empty while the changes are made: who knows nothing of
 * all this finds no model there rather than half of one, if that file is the model's index. Only
 * one process at a time may change a folder; its callers hold a lock.
 */
public final class FolderChanges implements AutoCloseable {
  private static final String STAGED = ".dreambooth-changes.part";
  private static final String PENDING = ".dreambooth-changes";
  private static final String LIST = "list.json";
  private static final ObjectMapper JSON = new ObjectMapper();

  /** A file or folder that is moved, or deleted where {@code to} is null; both in the folder. */
  private record Change(Path from, @Nullable Path to) {}

  private final Path folder;
  private final List<Change> changes = new ArrayList<>();
  private final Set<Path> kept = new HashSet<>();
  private int added;

  /**
   * Changes of a folder, which is made if need be. What a process left there that was killed before
   * it was decided is removed.
   *
   * @throws Problem when the folder cannot be written, or other changes are still to be finished
   */
  public FolderChanges(Path folder) {
    this.folder = folder.toAbsolutePath();
    finish(folder);
    try {
      Files.createDirectories(this.folder);
      Files.createDirectory(this.folder.resolve(STAGED));
    } catch (IOException e) {
      throw StagedFiles.unwritable(folder, e);
    }
  }

  /** Whether a process was killed while it changed this folder, or is changing it now. */
  public static boolean isPending(Path folder) {
    return Files.isDirectory(folder.resolve(PENDING));
  }

  /**
   * Writes what is to become {@code target}.
   *
   * @throws Problem when it cannot be written; {@code target} is as before
   */
  public void add(Path target, StagedFiles.Body body) {
    Path staged = folder.resolve(STAGED).resolve(Integer.toString(added));
    try {
      StagedFiles.create(staged, body);
    } catch (IOException e) {
      throw StagedFiles.unwritable(target, e);
    }
    change(Path.of(PENDING, Integer.toString(added)), target);
    added++;
  }

  /** Stages a copy of {@code source}, unless {@code target} has the same content already. */
  public void copy(Path source, Path target) {
    if (StagedFiles.isCopy(source, target)) {
      kept.add(target.toAbsolutePath());
    } else {
      add(target, StagedFiles.Body.of(source));
    }
  }

  /** Moves a file or folder that is there to a place that is free. */
  public void move(Path from, Path to) {
    change(relative(from), to);
  }

  /** Deletes a file, before anything is put in its place. */
  public void delete(Path file) {
    changes.add(0, new Change(relative(file), null));
  }

  /** Whether these changes put a file there, or it is what they would put there. */
  public boolean holds(Path target) {
    return kept.contains(target.toAbsolutePath());
  }

  private void change(Path from, Path to) {
    changes.add(new Change(from, relative(to)));
    kept.add(to.toAbsolutePath());
  }

  private Path relative(Path file) {
    return Path.of(folder.relativize(file.toAbsolutePath()).toString());
  }

  /**
   * Makes the changes.
   *
   * @throws Problem when it cannot: either nothing has changed, or the rest is left to {@link
   *     #finish}, which is said
   */
  public void commit() {
    Path staged = folder.resolve(STAGED);
    try {
      StagedFiles.create(staged.resolve(LIST), StagedFiles.Body.of(list()));
      StagedFiles.sync(staged);
      Files.move(staged, folder.resolve(PENDING), StandardCopyOption.ATOMIC_MOVE);
      StagedFiles.sync(folder);
    } catch (IOException e) {
      throw StagedFiles.unwritable(folder, e);
    }
    finish(folder);
  }

  private byte[] list() {
    ArrayNode list = JSON.createArrayNode();
    for (Change each : changes) {
      ArrayNode line = list.addArray().add(slashes(each.from));
      if (each.to != null) {
        line.add(slashes(each.to));
      }
    }
    try {
      return JSON.writeValueAsBytes(list);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  private static String slashes(Path path) {
    return path.toString().replace('\\', '/');
  }

  /**
   * Makes the changes that were decided and not all made, and removes those that were not decided.
   *
   * @throws Problem when one cannot be made; it is tried again the next time
   */
  public static void finish(Path folder) {
    Path pending = folder.resolve(PENDING);
    Path done = folder.resolve(STAGED);
    try {
      remove(done);
      if (!Files.isDirectory(pending)) {
        return;
      }
      List<Change> changes = read(folder, pending.resolve(LIST));
      Set<Path> folders = new HashSet<>();
      if (!changes.isEmpty()) {
        emptyLastPlace(changes.get(changes.size() - 1));
      }
      for (Change each : changes) {
        make(each);
        folders.add((each.to == null ? each.from : each.to).resolveSibling("."));
      }
      folders.forEach(StagedFiles::sync);
      Files.move(pending, done, StandardCopyOption.ATOMIC_MOVE);
      remove(done);
    } catch (IOException e) {
      throw new Problem(
          Problem.Kind.FAILED,
          "%s: files that belong together cannot be put in their places: %s. They are complete in %s: once that is possible, the next run with this output_dir does it."
              .formatted(folder, Problem.why(e), pending),
          e);
    }
  }

  private static void emptyLastPlace(Change last) throws IOException {
    if (last.to != null && Files.isRegularFile(last.to) && Files.exists(last.from)) {
      Files.delete(last.to);
    }
  }

  private static void make(Change change) throws IOException {
    if (change.to == null) {
      Files.deleteIfExists(change.from);
    } else if (Files.exists(change.from)) {
      Files.createDirectories(change.to.resolveSibling(""));
      Files.move(
          change.from,
          change.to,
          StandardCopyOption.ATOMIC_MOVE,
          StandardCopyOption.REPLACE_EXISTING);
    }
  }

  private static List<Change> read(Path folder, Path list) throws IOException {
    List<Change> changes = new ArrayList<>();
    for (JsonNode line : JSON.readTree(Files.readAllBytes(list))) {
      Path from = inside(folder, line.path(0).asText());
      changes.add(new Change(from, line.size() < 2 ? null : inside(folder, line.path(1).asText())));
    }
    return changes;
  }

  private static Path inside(Path folder, String name) throws IOException {
    Path file = folder.resolve(name).normalize();
    if (!file.startsWith(folder.normalize()) || file.equals(folder.normalize())) {
      throw new IOException("its list names what lies elsewhere: " + name);
    }
    return file;
  }

  private static void remove(Path staged) throws IOException {
    try (DirectoryStream<Path> files = Files.newDirectoryStream(staged)) {
      for (Path file : files) {
        Files.delete(file);
      }
    } catch (NoSuchFileException e) {
      return;
    }
    Files.delete(staged);
  }

  /** Removes what was not committed. */
  @Override
  public void close() {
    try {
      remove(folder.resolve(STAGED));
    } catch (IOException e) {
      // The next changes of this folder begin with removing it.
    }
  }
}
