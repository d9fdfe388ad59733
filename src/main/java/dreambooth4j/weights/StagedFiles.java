package dreambooth4j.weights;

import dreambooth4j.FolderEntries;
import dreambooth4j.Problem;
import dreambooth4j.RegularFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ThreadLocalRandom;
import java.util.regex.Pattern;

/**
 * Files that take their places together, when all of them are complete and on the disk. Each is
 * written beside its place as {@code .NAME.NUMBER.part}, with a number of its own, so that two
 * processes may write the same file; until {@link #commit} what was there before stays as it was,
 * and {@link #close} removes what was not committed. A part is locked while its process lives: what
 * a killed one left is removed when the next one first writes to the folder.
 */
public final class StagedFiles implements AutoCloseable {
  /** Writes the content of a file. */
  @FunctionalInterface
  public interface Body {
    /** Writes to {@code channel}, which is empty, at its beginning, and closed by the caller. */
    void writeTo(FileChannel channel) throws IOException;

    /** About how long it is; 0 if that is not known before it is written. */
    default long bytes() {
      return 0;
    }

    /** One whose length is known. */
    static Body of(long bytes, Body body) {
      return new Body() {
        @Override
        public void writeTo(FileChannel channel) throws IOException {
          body.writeTo(channel);
        }

        @Override
        public long bytes() {
          return bytes;
        }
      };
    }

    /** These bytes. */
    static Body of(byte[] content) {
      return of(
          content.length,
          channel -> {
            ByteBuffer bytes = ByteBuffer.wrap(content);
            while (bytes.hasRemaining()) {
              channel.write(bytes);
            }
          });
    }

    /** What another file holds. */
    static Body of(Path source) {
      return out -> {
        try (FileChannel in = RegularFile.channel(source)) {
          long size = in.size();
          for (long done = 0; done < size; ) {
            long more = in.transferTo(done, size - done, out);
            done += more;
            if (more == 0 || out.position() != done) {
              // Of an error after some bytes transferTo says nothing.
              throw new IOException("it could be copied in part only, from " + source);
            }
          }
        }
      };
    }
  }

  private static final Pattern PART = Pattern.compile("\\..+\\.[0-9a-f]{16}\\.part");
  private static final Set<Path> SWEPT = ConcurrentHashMap.newKeySet();

  /** A file on its way, open and locked. */
  private record Part(Path file, FileChannel channel) {
    /** A part beside a place. */
    static Part of(Path place) throws IOException {
      while (true) {
        String number = "%016x".formatted(ThreadLocalRandom.current().nextLong());
        Path file = place.resolveSibling(".%s.%s.part".formatted(place.getFileName(), number));
        FileChannel channel =
            FileChannel.open(
                file,
                StandardOpenOption.WRITE,
                StandardOpenOption.CREATE_NEW,
                LinkOption.NOFOLLOW_LINKS);
        Part part = new Part(file, channel);
        try {
          channel.lock();
        } catch (IOException e) {
          return part; // a file system without locks: nobody sweeps there
        }
        if (Files.exists(file)) {
          return part;
        }
        channel.close(); // somebody swept between the two lines above
      }
    }

    void discard() {
      try (channel) {
        Files.deleteIfExists(file);
      } catch (IOException e) {
        // A remnant that cannot be removed harms nothing: the next process tries again.
      }
    }
  }

  private final Map<Path, Part> parts = new LinkedHashMap<>();
  private final boolean forced;

  /** Files that are on the disk before they take their places. */
  public StagedFiles() {
    this(true);
  }

  private StagedFiles(boolean forced) {
    this.forced = forced;
  }

  /**
   * Files that the system writes to the disk when it likes: quicker, and if it crashes they may be
   * there without their content.
   */
  public static StagedFiles unforced() {
    return new StagedFiles(false);
  }

  /**
   * Finds out, before the work begins whose result a file will be, whether it can be written: makes
   * one beside its place, or in the nearest folder above that is there, and removes it.
   *
   * @throws Problem when it cannot be
   */
  public static void requireWritable(Path target) {
    RegularFile.requirePlace(target);
    Path above = target.toAbsolutePath();
    while (above.getParent() != null && !Files.exists(folderOf(above))) {
      above = folderOf(above);
    }
    try {
      Part.of(above).discard();
    } catch (IOException e) {
      throw unwritable(target, e);
    }
  }

  /** Writes one file, whole or not at all: stages and commits it. */
  public static void write(Path target, Body body) {
    try (StagedFiles files = new StagedFiles()) {
      files.add(target, body);
      files.commit();
    }
  }

  /** Writes one file of these bytes, whole or not at all. */
  public static void write(Path target, byte[] content) {
    try (StagedFiles files = new StagedFiles()) {
      files.add(target, content);
      files.commit();
    }
  }

  /**
   * Writes what is to become {@code target}, and makes the folders that lead to it.
   *
   * @throws Problem when it cannot be written, or something that is no file is in its place; {@code
   *     target} is as before
   */
  public void add(Path target, Body body) {
    RegularFile.requirePlace(target);
    Path place = target.toAbsolutePath();
    try {
      Path folder = Files.createDirectories(folderOf(place));
      if (SWEPT.add(folder)) {
        sweep(folder);
      }
      Part part = Part.of(place);
      Part before = parts.put(place, part);
      if (before != null) {
        before.discard();
      }
      write(body, part.channel);
      if (forced) {
        part.channel.force(true);
      }
    } catch (IOException e) {
      throw unwritable(target, e);
    }
  }

  /** Stages a file of these bytes, as {@link #add(Path, Body)}. */
  public void add(Path target, byte[] content) {
    add(target, Body.of(content));
  }

  /** Writes a new file, of which nobody else knows yet, and forces it to the disk. */
  static void create(Path file, Body body) throws IOException {
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.WRITE, StandardOpenOption.CREATE_NEW)) {
      write(body, channel);
      channel.force(true);
    }
  }

  /** Libraries that write for us wrap what the file system says. */
  private static void write(Body body, FileChannel channel) throws IOException {
    try {
      body.writeTo(channel);
    } catch (RuntimeException e) {
      if (e.getCause() instanceof IOException cause) {
        throw cause;
      }
      throw e;
    }
  }

  /**
   * Whether {@code target} is a file with the content of {@code source}.
   *
   * @throws Problem when one cannot be read, or something that is no file is in the target's place
   */
  static boolean isCopy(Path source, Path target) {
    RegularFile.requirePlace(target);
    if (!Files.exists(target)) {
      return false;
    }
    try {
      return Files.mismatch(source, target) < 0;
    } catch (IOException e) {
      throw Unreadable.file(source, e);
    }
  }

  /**
   * Puts every staged file in its place.
   *
   * @throws Problem when one cannot be put there
   */
  public void commit() {
    Set<Path> folders = new LinkedHashSet<>();
    for (var each = parts.entrySet().iterator(); each.hasNext(); ) {
      Map.Entry<Path, Part> entry = each.next();
      Path place = entry.getKey();
      try (FileChannel open = entry.getValue().channel()) {
        Files.move(
            entry.getValue().file(),
            place,
            StandardCopyOption.ATOMIC_MOVE,
            StandardCopyOption.REPLACE_EXISTING);
      } catch (IOException e) {
        throw unwritable(place, e);
      }
      each.remove();
      folders.add(folderOf(place));
    }
    if (forced) {
      folders.forEach(StagedFiles::sync);
    }
  }

  /** Makes the names in a folder last, where the system lets a folder be opened. */
  static void sync(Path folder) {
    if (!Files.isDirectory(folder)) {
      return; // to open a pipe would wait until somebody writes to it
    }
    try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
      channel.force(true);
    } catch (IOException e) {
      // Windows does not open folders; it needs no such call.
    }
  }

  private static Path folderOf(Path place) {
    Path folder = place.getParent();
    if (folder == null) {
      throw new IllegalArgumentException(place + " is no file");
    }
    return folder;
  }

  static Problem unwritable(Path target, IOException e) {
    return new Problem(
        Problem.Kind.FAILED,
        "%s: cannot be written: %s. What was there before is unchanged."
            .formatted(target, Problem.why(e)),
        e);
  }

  /** Removes a folder in which nothing lies; a link to one stays. */
  public static void removeIfEmpty(Path folder) {
    try {
      if (!Files.isSymbolicLink(folder)) {
        Files.deleteIfExists(folder);
      }
    } catch (IOException e) {
      // It holds what is not ours to remove.
    }
  }

  /** Removes the parts in a folder, not in those below, that no living process holds. */
  public static void sweep(Path folder) {
    try {
      for (Path file : FolderEntries.of(folder)) {
        if (PART.matcher(String.valueOf(file.getFileName())).matches()
            && Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
          removeIfLeft(file);
        }
      }
    } catch (IOException e) {
      // Remnants take space and nothing else.
    }
  }

  private static void removeIfLeft(Path part) throws IOException {
    try (FileChannel channel =
            FileChannel.open(part, StandardOpenOption.WRITE, LinkOption.NOFOLLOW_LINKS);
        FileLock lock = channel.tryLock()) {
      if (lock != null) {
        Files.deleteIfExists(part);
      }
    } catch (OverlappingFileLockException | NoSuchFileException e) {
      // This process is writing it, or it has just taken its place.
    }
  }

  /** Removes what was not committed. */
  @Override
  public void close() {
    parts.values().forEach(Part::discard);
    parts.clear();
  }
}
