package dreambooth4j;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.FileStore;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Path;
import java.nio.file.PathMatcher;
import java.nio.file.WatchService;
import java.nio.file.attribute.UserPrincipalLookupService;
import java.nio.file.spi.FileSystemProvider;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The files of this machine, seen through a file system that counts the calls that change something
 * and fails at one of them: with an error, or as if the process were killed there. A write that is
 * hit leaves half of its bytes. Each object stands for one process; {@link #close} lets go of its
 * locks, as the system does.
 */
public final class FailingFiles extends FileSystem {
  /** Thrown where the process is killed; nothing can be changed from then on. */
  public static final class Killed extends Error {
    private static final long serialVersionUID = 1L;

    Killed(String call) {
      super(call);
    }
  }

  /** How a call fails. */
  public enum How {
    /** The process ends there and then. */
    KILLED,
    /** The disk is full from there on: whatever takes space fails, deleting does not. */
    FULL,
    /** That call fails, others do not. */
    ERROR,
    /** What that call writes is not what it was given, and nobody is told. */
    FLIPPED
  }

  private final FileSystem real = FileSystems.getDefault();
  private final FailingProvider provider = new FailingProvider(this);
  private final List<FileChannel> open = new ArrayList<>();
  private final How how;
  private final int failing;
  private final @Nullable Pattern failingCall;
  private final List<String> names = new ArrayList<>();
  private int calls;
  private boolean hit;
  private boolean killed;
  private @Nullable String failed;
  private @Nullable Pattern failingToo;
  private long room = Long.MAX_VALUE;

  /** Fails at the call of this number, counted from 1; 0 for none. */
  public FailingFiles(How how, int failing) {
    this(how, failing, null);
  }

  /** Fails at the first call whose name, as {@link #names} has it, is of this pattern. */
  public static FailingFiles at(How how, String call) {
    return new FailingFiles(how, 0, Pattern.compile(call));
  }

  private FailingFiles(How how, int failing, @Nullable Pattern failingCall) {
    this.how = how;
    this.failing = failing;
    this.failingCall = failingCall;
  }

  /** Each call of this pattern ends with an error too. */
  public FailingFiles andFailsAt(String call) {
    failingToo = Pattern.compile(call);
    return this;
  }

  /** The disk says that it has no more than so many bytes free. */
  public FailingFiles withRoom(long bytes) {
    room = bytes;
    return this;
  }

  long room() {
    return room;
  }

  /** A path of the machine as it is seen through this. */
  public Path path(Path path) {
    return new FailingPath(this, path);
  }

  /** The calls so far that changed something. */
  public int calls() {
    return calls;
  }

  /** What the calls so far did, and to which file. */
  public List<String> names() {
    return List.copyOf(names);
  }

  /** The numbers of the calls so far, of several of one name in a row the first and the last. */
  public List<Integer> turns() {
    List<Integer> turns = new ArrayList<>();
    for (int i = 0; i < names.size(); i++) {
      boolean inside =
          i > 0
              && i < names.size() - 1
              && names.get(i).equals(names.get(i - 1))
              && names.get(i).equals(names.get(i + 1));
      if (!inside) {
        turns.add(i + 1);
      }
    }
    return turns;
  }

  /** The call that failed; null if none did. */
  public @Nullable String failed() {
    return failed;
  }

  /** Counts a call; whether it is to be done by half and then to fail. */
  boolean hits(String call, boolean takesSpace) throws IOException {
    if (killed) {
      throw new Killed("after the end: " + call);
    }
    calls++;
    names.add(call);
    if (failingToo != null && failingToo.matcher(call).matches()) {
      throw new IOException("Input/output error");
    }
    hit =
        failingCall == null
            ? calls == failing
            : failed == null && failingCall.matcher(call).matches();
    if (hit) {
      failed = call;
    }
    boolean full = how == How.FULL && failed != null && takesSpace;
    return how == How.FULL ? full : hit && how != How.FLIPPED;
  }

  /** Whether the call that was counted last writes something else. */
  boolean flips() {
    return how == How.FLIPPED && hit;
  }

  /**
   * The error to throw where the process is killed.
   *
   * @throws IOException where it is not
   */
  Error orError(String call) throws IOException {
    if (how == How.KILLED) {
      killed = true;
      return new Killed(call);
    }
    throw new IOException(how == How.FULL ? "No space left on device" : "Input/output error");
  }

  /** A file that was opened, for {@link #close}; its writes are counted. */
  FileChannel opened(FileChannel channel, String name) {
    open.add(channel);
    return new FailingChannel(this, channel, name);
  }

  /** Counts a call that is done or not. */
  void change(String call, boolean takesSpace) throws IOException {
    if (hits(call, takesSpace)) {
      throw orError(call);
    }
  }

  @Override
  public void close() throws IOException {
    for (FileChannel each : open) {
      each.close();
    }
  }

  /** The machine's own of a path. */
  static Path real(Path path) {
    return path instanceof FailingPath seen ? seen.real() : path;
  }

  @Override
  public FileSystemProvider provider() {
    return provider;
  }

  @Override
  public boolean isOpen() {
    return true;
  }

  @Override
  public boolean isReadOnly() {
    return false;
  }

  @Override
  public String getSeparator() {
    return real.getSeparator();
  }

  @Override
  public Iterable<Path> getRootDirectories() {
    return List.of();
  }

  @Override
  public Iterable<FileStore> getFileStores() {
    return List.of();
  }

  @Override
  public Set<String> supportedFileAttributeViews() {
    return real.supportedFileAttributeViews();
  }

  @Override
  public Path getPath(String first, String... more) {
    return path(real.getPath(first, more));
  }

  @Override
  public PathMatcher getPathMatcher(String pattern) {
    PathMatcher matcher = real.getPathMatcher(pattern);
    return path -> matcher.matches(real(path));
  }

  @Override
  public UserPrincipalLookupService getUserPrincipalLookupService() {
    throw new UnsupportedOperationException();
  }

  @Override
  public WatchService newWatchService() {
    throw new UnsupportedOperationException();
  }
}
