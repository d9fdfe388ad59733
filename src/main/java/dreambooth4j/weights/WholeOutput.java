package dreambooth4j.weights;

import dreambooth4j.FolderEntries;
import dreambooth4j.Problem;
import dreambooth4j.RegularFile;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A new file or folder that gets its name when all of it is complete and on the disk. It is made in
 * {@code .NAME.part} beside its place, which is locked for as long as the process lives: no other
 * process makes the same meanwhile, and what a killed one left is removed when the next one writes
 * beside it.
 */
public final class WholeOutput implements NewFiles, AutoCloseable {
  private static final String PART = ".part";
  private static final String LOCK = ".dreambooth-lock";
  private static final String CONTENT = "content";

  /** The place as its caller names it. */
  private final Path given;

  /** The place itself: a name that leads through links and back, as link/.., may change. */
  private final Path target;

  private final Path part;
  private final FileChannel lock;
  private final Set<Path> folders = new LinkedHashSet<>();

  /**
   * Takes the place.
   *
   * @param target a file or a folder, of which nothing is there yet but perhaps an empty folder
   * @throws Problem when something is there, another process makes it, or nothing can be written
   */
  public WholeOutput(Path target) {
    requireFree(target);
    given = target.toAbsolutePath();
    try {
      Path folder = Files.createDirectories(given.resolveSibling("")).toRealPath();
      this.target = folder.resolve(given.getFileName()).normalize();
      part = this.target.resolveSibling("." + this.target.getFileName() + PART);
      removeLeft(this.target.resolveSibling(""));
      FileChannel taken = locked(part, true);
      if (taken == null) {
        throw Problem.usage(
            "%s is being written by another process: wait for its end, or give another name"
                .formatted(target));
      }
      lock = taken;
      remove(part.resolve(CONTENT)); // what a killed process left that could not be removed before
    } catch (IOException e) {
      throw StagedFiles.unwritable(target, e);
    }
  }

  /**
   * Refuses a place where something lies; an empty folder is nothing.
   *
   * @throws Problem of kind USAGE
   */
  public static void requireFree(Path target) {
    boolean isFree = !Files.exists(target, LinkOption.NOFOLLOW_LINKS);
    if (!isFree && Files.isDirectory(target, LinkOption.NOFOLLOW_LINKS)) {
      try {
        isFree = FolderEntries.of(target).isEmpty();
      } catch (IOException e) {
        throw StagedFiles.unwritable(target, e);
      }
    }
    if (!isFree) {
      throw Problem.usage(
          "%s is there already, and is not written over: give another name, or remove it first"
              .formatted(target));
    }
  }

  @Override
  public void add(Path file, StagedFiles.Body body) {
    Path inside = given.relativize(file.toAbsolutePath());
    Path content = part.resolve(CONTENT);
    Path place = inside.toString().isEmpty() ? content : content.resolve(inside.toString());
    RegularFile.requirePlace(place);
    try {
      Path folder = place.resolveSibling("");
      Files.createDirectories(folder);
      folders.add(folder);
      StagedFiles.create(place, body);
    } catch (IOException e) {
      throw StagedFiles.unwritable(file, e);
    }
  }

  @Override
  public void copy(Path source, Path file) {
    add(file, StagedFiles.Body.of(source));
  }

  /**
   * Gives what was made its name.
   *
   * @throws Problem when it cannot, or something has come there meanwhile
   */
  public void commit() {
    requireFree(target);
    try {
      folders.forEach(StagedFiles::sync);
      Files.move(part.resolve(CONTENT), target, StandardCopyOption.ATOMIC_MOVE);
      StagedFiles.sync(target.resolveSibling(""));
    } catch (IOException e) {
      throw StagedFiles.unwritable(target, e);
    }
  }

  /** Removes what was not committed, and lets others make it. */
  @Override
  public void close() {
    try (lock) {
      remove(part);
    } catch (IOException e) {
      // The next process that writes here removes it.
    }
  }

  /** The lock of a part; null where another process has it, or there is no such part. */
  private static @Nullable FileChannel locked(Path part, boolean makes) throws IOException {
    Path file = part.resolve(LOCK);
    while (true) {
      if (makes) {
        Files.createDirectories(part);
      }
      try {
        FileChannel channel =
            makes
                ? FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)
                : FileChannel.open(file, StandardOpenOption.WRITE, LinkOption.NOFOLLOW_LINKS);
        if (!FileLocks.isOurs(channel)) {
          channel.close();
          return null;
        }
        if (Files.exists(file)) {
          return channel;
        }
        channel.close(); // another process has just removed it
      } catch (NoSuchFileException e) {
        // likewise
      }
      if (!makes) {
        return null;
      }
    }
  }

  /** Removes the parts in a folder that no living process holds. */
  private static void removeLeft(Path folder) {
    try {
      for (Path each : FolderEntries.of(folder)) {
        if (String.valueOf(each.getFileName()).matches("\\..*\\" + PART)
            && Files.isDirectory(each, LinkOption.NOFOLLOW_LINKS)) {
          StagedFiles.removeIfEmpty(each);
          try (FileChannel taken = locked(each, false)) {
            if (taken != null) {
              remove(each);
            }
          }
        }
      }
    } catch (IOException e) {
      // What is left takes space and nothing else.
    }
  }

  /** Removes a part, its lock last: what is left without one would be nobody's. */
  private static void remove(Path part) throws IOException {
    Path lock = part.resolve(LOCK);
    if (Files.isDirectory(part, LinkOption.NOFOLLOW_LINKS)) {
      List<Path> all = FolderEntries.below(part);
      Collections.reverse(all);
      for (Path each : all) {
        if (!each.equals(lock)) {
          Files.delete(each);
        }
      }
      Files.deleteIfExists(lock);
    }
    Files.deleteIfExists(part);
  }
}
