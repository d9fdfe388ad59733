package dreambooth4j.weights;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import dreambooth4j.FolderEntries;
import dreambooth4j.Problem;
import dreambooth4j.RegularFile;
import java.io.IOException;
import java.nio.file.FileStore;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.Deque;
import java.util.LinkedHashSet;
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
 * <p>All that is to be done is a list of moves: what is replaced or deleted goes into {@code
 * .dreambooth-changes}, then the new files leave it. So where one cannot be made (its place is on
 * another disk, or in use) those before it are taken back.
 *
 * <p>The place of the file added last is the first to be emptied: who knows nothing of all this
 * finds no model there rather than half of one, if that file is the model's index. Only one process
 * at a time may change a folder; its callers hold a lock.
 */
public final class FolderChanges implements NewFiles, AutoCloseable {
  private static final String STAGED = ".dreambooth-changes.part";
  private static final String PENDING = ".dreambooth-changes";
  private static final String LIST = "list.json";

  /** Before the number of a file that is replaced or deleted. */
  private static final String OLD = "old-";

  private static final int LONGEST_LIST_BYTES = 1 << 26;
  private static final ObjectMapper JSON = new ObjectMapper();

  /** A file or folder, and its new place, which is free when its turn comes. */
  private record Move(Path from, Path to) {
    /** Whether it takes away what was there before. */
    boolean frees() {
      return to.resolveSibling("").endsWith(PENDING);
    }

    /** The place that somebody knows of. */
    Path place() {
      return frees() ? from : to;
    }

    /** Makes it unless it is made: a place that was freed may have its new file already. */
    void make() throws IOException {
      boolean made = frees() ? isThere(to) || !isThere(from) : isThere(to) && !isThere(from);
      if (!made) {
        Files.createDirectories(to.resolveSibling(""));
        Files.move(from, to, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
      }
    }

    /** Takes it back if it is made and those after it are not. */
    void takeBack() throws IOException {
      if (isThere(to) && !isThere(from)) {
        Files.move(to, from, StandardCopyOption.ATOMIC_MOVE);
      }
    }
  }

  /** The folder as its callers name it. */
  private final Path given;

  /** The folder itself: a name that leads through links and back, as link/.., may change. */
  private final Path folder;

  private final Deque<Path> old = new ArrayDeque<>();
  private final List<Move> moves = new ArrayList<>();
  private final Set<Path> kept = new LinkedHashSet<>();
  private int added;

  /**
   * Changes of a folder, which is made if need be. What a process left there that was killed before
   * it was decided is removed.
   *
   * @throws Problem when the folder cannot be written, or other changes are still to be finished
   */
  public FolderChanges(Path folder) {
    given = folder.toAbsolutePath();
    finish(folder);
    try {
      Files.createDirectories(given);
      this.folder = given.toRealPath();
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
   * Refuses places whose folders are on other disks: a file cannot be moved there at once.
   *
   * @param places files in {@code folder} that are going to be changed, whether or not there
   * @throws Problem of kind USAGE that names one
   */
  public static void requireOneDisk(Path folder, Collection<Path> places) {
    try {
      FileStore disk = Files.getFileStore(folder);
      for (Path place : places) {
        Path parent = place.resolveSibling("");
        if (Files.isDirectory(parent) && !Files.getFileStore(parent).equals(disk)) {
          throw Problem.usage(
              "%s is on another disk than %s, so that a model could not be replaced all at once: put a folder of that disk in its place, or give another output_dir"
                  .formatted(parent, folder));
        }
      }
    } catch (IOException e) {
      // Not every system says which disk it is. What cannot be moved later is taken back.
    }
  }

  @Override
  public void add(Path target, StagedFiles.Body body) {
    RegularFile.requirePlace(target);
    Path staged = folder.resolve(STAGED).resolve(Integer.toString(added));
    try {
      StagedFiles.create(staged, body);
    } catch (IOException e) {
      throw StagedFiles.unwritable(target, e);
    }
    Path place = inFolder(target);
    old.addFirst(place);
    plan(folder.resolve(PENDING).resolve(Integer.toString(added)), place);
    added++;
  }

  @Override
  public void copy(Path source, Path target) {
    if (StagedFiles.isCopy(source, target)) {
      kept.add(inFolder(target));
    } else {
      add(target, StagedFiles.Body.of(source));
    }
  }

  /** Moves a file or folder that is there to a place that is free. */
  public void move(Path from, Path to) {
    plan(inFolder(from), inFolder(to));
  }

  private void plan(Path from, Path to) {
    moves.add(new Move(from, to));
    kept.add(to);
  }

  /** A place that its caller names by the folder's given name, in the folder itself. */
  private Path inFolder(Path file) {
    return folder.resolve(given.relativize(file.toAbsolutePath()));
  }

  /** Deletes a file, before anything is put in its place. */
  public void delete(Path file) {
    old.addLast(inFolder(file));
  }

  /** Whether these changes put a file there, or it is what they would put there. */
  public boolean holds(Path target) {
    return kept.contains(inFolder(target));
  }

  /** Names in the folder of all that these changes put there, and of what is there already. */
  List<String> placed() {
    return kept.stream().map(this::relative).toList();
  }

  /**
   * Makes the changes, of which there is at least one.
   *
   * @throws Problem when it cannot: either nothing has changed, or the rest is left to {@link
   *     #finish}, which is said
   */
  public void commit() {
    if (moves.isEmpty() && old.isEmpty()) {
      throw new IllegalStateException("no changes of " + folder);
    }
    Path staged = folder.resolve(STAGED);
    try {
      StagedFiles.create(staged.resolve(LIST), StagedFiles.Body.of(list()));
      StagedFiles.sync(staged);
      Files.move(staged, folder.resolve(PENDING), StandardCopyOption.ATOMIC_MOVE);
      StagedFiles.sync(folder);
    } catch (IOException e) {
      throw StagedFiles.unwritable(folder, e);
    }
    try {
      List<Move> all = read(folder);
      try {
        make(all);
      } catch (FileSystemException e) {
        takeBack(folder, all);
        throw StagedFiles.unwritable(Path.of(e.getFile()), e);
      }
      end(folder, all);
    } catch (IOException e) {
      throw halfway(folder, e);
    }
  }

  private byte[] list() {
    ArrayNode list = JSON.createArrayNode();
    int number = 0;
    for (Path each : old) {
      if (isThere(each)) {
        Path place = folder.resolve(PENDING).resolve(OLD + number++);
        list.addArray().add(relative(each)).add(relative(place));
      }
    }
    for (Move each : moves) {
      list.addArray().add(relative(each.from)).add(relative(each.to));
    }
    try {
      return JSON.writeValueAsBytes(list);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  private String relative(Path file) {
    return folder.relativize(file).toString().replace('\\', '/');
  }

  /**
   * Makes the changes that were decided and not all made, and removes those that were not decided.
   *
   * @throws Problem when one cannot be made; it is tried again the next time
   */
  public static void finish(Path folder) {
    if (!Files.isDirectory(folder)) {
      return;
    }
    Path staged = folder.resolve(STAGED);
    try {
      remove(staged);
    } catch (IOException e) {
      throw new Problem(
          Problem.Kind.FAILED,
          "%s: what a killed process left there cannot be removed: %s. Delete that folder."
              .formatted(staged, named(e)),
          e);
    }
    if (isPending(folder) && !isEmptied(folder.resolve(PENDING))) {
      try {
        Path real = folder.toRealPath();
        List<Move> all = read(real);
        make(all);
        end(real, all);
      } catch (IOException e) {
        throw halfway(folder, e);
      }
    }
  }

  /** Whether somebody has taken all out of it, the list too: then it is removed. */
  private static boolean isEmptied(Path pending) {
    StagedFiles.removeIfEmpty(pending);
    return !Files.exists(pending);
  }

  private static Problem halfway(Path folder, IOException e) {
    Path pending = folder.resolve(PENDING);
    boolean lost = e.getCause() instanceof NoSuchFileException;
    return new Problem(
        Problem.Kind.FAILED,
        "%s: files that belong together cannot be put in their places: %s. %s"
            .formatted(
                folder,
                named(e),
                lost
                    ? wayOut(pending)
                    : "They are complete in %s: once that is possible, the next run with the same output_dir does it."
                        .formatted(pending)),
        e);
  }

  /** What to do where nobody can tell any more what belongs where. */
  private static String wayOut(Path pending) {
    return "Move what you want to keep out of %s, which may be the only copy, and delete that folder; a model beside it may not be whole."
        .formatted(pending);
  }

  /** Why, and of which file. */
  private static String named(IOException e) {
    String file = e instanceof FileSystemException f ? f.getFile() : null;
    return file == null ? Problem.why(e) : file + ": " + Problem.why(e);
  }

  private static boolean isThere(Path file) {
    return Files.exists(file, LinkOption.NOFOLLOW_LINKS);
  }

  private static void make(List<Move> all) throws FileSystemException {
    for (Move each : all) {
      try {
        each.make();
      } catch (IOException e) {
        String why = e instanceof NoSuchFileException ? each.from + " is gone" : Problem.why(e);
        throw (FileSystemException)
            new FileSystemException(each.place().toString(), null, why).initCause(e);
      }
    }
  }

  /** The folder as it was before. Killed in between, the next process makes the changes again. */
  private static void takeBack(Path folder, List<Move> all) throws IOException {
    List<Move> last = new ArrayList<>(all);
    Collections.reverse(last);
    for (Move each : last) {
      each.takeBack();
    }
    end(folder, last);
    for (Move each : last) {
      Path parent = each.place().resolveSibling("");
      if (!parent.equals(folder)) {
        StagedFiles.removeIfEmpty(parent);
      }
    }
  }

  /** All is in its place; what lies among the changes now is nobody's any more. */
  private static void end(Path folder, List<Move> all) throws IOException {
    all.stream().map(each -> each.place().resolveSibling("")).distinct().forEach(StagedFiles::sync);
    Path done = folder.resolve(STAGED);
    Files.move(folder.resolve(PENDING), done, StandardCopyOption.ATOMIC_MOVE);
    try {
      remove(done);
    } catch (IOException e) {
      // The next changes of this folder begin with removing it.
    }
  }

  private static List<Move> read(Path folder) throws IOException {
    List<Move> all = new ArrayList<>();
    Path list = folder.resolve(PENDING).resolve(LIST);
    if (!isThere(list)) {
      throw undecided(folder, "their list, %s, is gone".formatted(list), null);
    }
    try {
      for (JsonNode line : JSON.readTree(RegularFile.bytes(list, LONGEST_LIST_BYTES))) {
        Path from = inside(folder, line.path(0).asText());
        Path to = inside(folder, line.path(1).asText());
        if (from == null || to == null) {
          throw undecided(
              folder, "their list, %s, names what lies elsewhere".formatted(list), null);
        }
        all.add(new Move(from, to));
      }
    } catch (JsonProcessingException | InvalidPathException e) {
      throw undecided(folder, "their list, %s, is damaged".formatted(list), e);
    }
    if (all.isEmpty()) {
      throw undecided(folder, "their list, %s, is empty".formatted(list), null);
    }
    return all;
  }

  private static Problem undecided(Path folder, String why, @Nullable Exception e) {
    return new Problem(
        Problem.Kind.FAILED,
        "%s: a process was killed while it put files in their places, and %s. %s"
            .formatted(folder, why, wayOut(folder.resolve(PENDING))),
        e);
  }

  private static @Nullable Path inside(Path folder, String name) {
    Path file = folder.resolve(name).normalize();
    return file.startsWith(folder) && !file.equals(folder) ? file : null;
  }

  private static void remove(Path staged) throws IOException {
    // To list a pipe would wait until somebody writes to it.
    if (!Files.isDirectory(staged, LinkOption.NOFOLLOW_LINKS)) {
      Files.deleteIfExists(staged);
      return;
    }
    try {
      for (Path file : FolderEntries.of(staged)) {
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
