package dreambooth4j;

import java.io.IOException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.SeekableByteChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.AccessMode;
import java.nio.file.CopyOption;
import java.nio.file.DirectoryStream;
import java.nio.file.FileStore;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.PathMatcher;
import java.nio.file.StandardOpenOption;
import java.nio.file.WatchEvent;
import java.nio.file.WatchKey;
import java.nio.file.WatchService;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.FileAttributeView;
import java.nio.file.attribute.UserPrincipalLookupService;
import java.nio.file.spi.FileSystemProvider;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.StreamSupport;
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
    ERROR
  }

  private final FileSystem real = FileSystems.getDefault();
  private final Provider provider = new Provider();
  private final List<FileChannel> open = new ArrayList<>();
  private final How how;
  private final int failing;
  private final List<String> names = new ArrayList<>();
  private int calls;
  private boolean killed;
  private @Nullable String failed;

  /** Fails at the call of this number, counted from 1; 0 for none. */
  public FailingFiles(How how, int failing) {
    this.how = how;
    this.failing = failing;
  }

  /** A path of the machine as it is seen through this. */
  public Path path(Path path) {
    return new Seen(path);
  }

  /** The calls so far that changed something. */
  public int calls() {
    return calls;
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
  private boolean hits(String call, boolean takesSpace) throws IOException {
    if (killed) {
      throw new Killed("after the end: " + call);
    }
    calls++;
    names.add(call);
    boolean hit = calls == failing;
    if (hit) {
      failed = call;
    }
    boolean full = how == How.FULL && failing > 0 && calls >= failing && takesSpace;
    return how == How.FULL ? full : hit;
  }

  private Error orError(String call) throws IOException {
    if (how == How.KILLED) {
      killed = true;
      return new Killed(call);
    }
    throw new IOException(how == How.FULL ? "No space left on device" : "Input/output error");
  }

  private void change(String call, boolean takesSpace) throws IOException {
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

  private static Path real(Path path) {
    return path instanceof Seen seen ? seen.real : path;
  }

  /** A channel whose writes are counted. */
  private final class Channel extends FileChannel {
    private final FileChannel channel;
    private final String name;

    Channel(FileChannel channel, String name) {
      this.channel = channel;
      this.name = name;
    }

    @Override
    public int write(ByteBuffer bytes) throws IOException {
      String call = "write " + name;
      if (hits(call, true)) {
        ByteBuffer half = bytes.duplicate();
        half.limit(half.position() + half.remaining() / 2);
        channel.write(half);
        throw orError(call);
      }
      return channel.write(bytes);
    }

    @Override
    public int write(ByteBuffer bytes, long position) throws IOException {
      change("write " + name, true);
      return channel.write(bytes, position);
    }

    @Override
    public long write(ByteBuffer[] bytes, int from, int length) throws IOException {
      change("write " + name, true);
      return channel.write(bytes, from, length);
    }

    @Override
    public long transferFrom(ReadableByteChannel source, long position, long count)
        throws IOException {
      change("write " + name, true);
      return channel.transferFrom(source, position, count);
    }

    @Override
    public long transferTo(long position, long count, WritableByteChannel target)
        throws IOException {
      if (target instanceof Channel other) {
        change("write " + other.name, true);
        return channel.transferTo(position, count, other.channel);
      }
      return channel.transferTo(position, count, target);
    }

    @Override
    public FileChannel truncate(long size) throws IOException {
      change("truncate " + name, false);
      channel.truncate(size);
      return this;
    }

    @Override
    public void force(boolean all) throws IOException {
      change("force " + name, false);
    }

    @Override
    public int read(ByteBuffer bytes) throws IOException {
      return channel.read(bytes);
    }

    @Override
    public int read(ByteBuffer bytes, long position) throws IOException {
      return channel.read(bytes, position);
    }

    @Override
    public long read(ByteBuffer[] bytes, int from, int length) throws IOException {
      return channel.read(bytes, from, length);
    }

    @Override
    public long position() throws IOException {
      return channel.position();
    }

    @Override
    public FileChannel position(long position) throws IOException {
      channel.position(position);
      return this;
    }

    @Override
    public long size() throws IOException {
      return channel.size();
    }

    @Override
    public MappedByteBuffer map(MapMode mode, long position, long size) throws IOException {
      throw new UnsupportedOperationException();
    }

    @Override
    public FileLock lock(long position, long size, boolean shared) throws IOException {
      return channel.lock(position, size, shared);
    }

    @Override
    public @Nullable FileLock tryLock(long position, long size, boolean shared) throws IOException {
      return channel.tryLock(position, size, shared);
    }

    @Override
    protected void implCloseChannel() throws IOException {
      channel.close();
    }
  }

  private final class Provider extends FileSystemProvider {
    private FileSystemProvider of(Path path) {
      return real(path).getFileSystem().provider();
    }

    @Override
    public FileChannel newFileChannel(
        Path path, Set<? extends OpenOption> options, FileAttribute<?>... attributes)
        throws IOException {
      if (options.contains(StandardOpenOption.CREATE_NEW)
          || (options.contains(StandardOpenOption.CREATE) && !Files.exists(real(path)))
          || options.contains(StandardOpenOption.TRUNCATE_EXISTING)) {
        change("create " + path.getFileName(), true);
      }
      FileChannel channel = of(path).newFileChannel(real(path), options, attributes);
      open.add(channel);
      return new Channel(channel, String.valueOf(path.getFileName()));
    }

    @Override
    public SeekableByteChannel newByteChannel(
        Path path, Set<? extends OpenOption> options, FileAttribute<?>... attributes)
        throws IOException {
      return newFileChannel(path, options, attributes);
    }

    @Override
    public DirectoryStream<Path> newDirectoryStream(
        Path folder, DirectoryStream.Filter<? super Path> filter) throws IOException {
      DirectoryStream<Path> stream =
          of(folder).newDirectoryStream(real(folder), each -> filter.accept(path(each)));
      return new DirectoryStream<>() {
        @Override
        public Iterator<Path> iterator() {
          return StreamSupport.stream(stream.spliterator(), false)
              .map(FailingFiles.this::path)
              .iterator();
        }

        @Override
        public void close() throws IOException {
          stream.close();
        }
      };
    }

    @Override
    public void createDirectory(Path folder, FileAttribute<?>... attributes) throws IOException {
      if (!Files.exists(real(folder))) {
        change("mkdir " + folder.getFileName(), true);
      }
      of(folder).createDirectory(real(folder), attributes);
    }

    @Override
    public void delete(Path path) throws IOException {
      if (Files.exists(real(path), LinkOption.NOFOLLOW_LINKS)) {
        change("delete " + path.getFileName(), false);
      }
      of(path).delete(real(path));
    }

    @Override
    public void copy(Path source, Path target, CopyOption... options) throws IOException {
      change("copy " + target.getFileName(), true);
      of(source).copy(real(source), real(target), options);
    }

    @Override
    public void move(Path source, Path target, CopyOption... options) throws IOException {
      change("move %s %s".formatted(source.getFileName(), target.getFileName()), false);
      of(source).move(real(source), real(target), options);
    }

    @Override
    public boolean isSameFile(Path one, Path other) throws IOException {
      return Files.isSameFile(real(one), real(other));
    }

    @Override
    public boolean isHidden(Path path) throws IOException {
      return of(path).isHidden(real(path));
    }

    @Override
    public FileStore getFileStore(Path path) throws IOException {
      return of(path).getFileStore(real(path));
    }

    @Override
    public void checkAccess(Path path, AccessMode... modes) throws IOException {
      of(path).checkAccess(real(path), modes);
    }

    @Override
    public <V extends FileAttributeView> V getFileAttributeView(
        Path path, Class<V> type, LinkOption... options) {
      return of(path).getFileAttributeView(real(path), type, options);
    }

    @Override
    public <A extends BasicFileAttributes> A readAttributes(
        Path path, Class<A> type, LinkOption... options) throws IOException {
      return of(path).readAttributes(real(path), type, options);
    }

    @Override
    public Map<String, Object> readAttributes(Path path, String attributes, LinkOption... options)
        throws IOException {
      return of(path).readAttributes(real(path), attributes, options);
    }

    @Override
    public void setAttribute(Path path, String name, Object value, LinkOption... options)
        throws IOException {
      change("set " + path.getFileName(), false);
      of(path).setAttribute(real(path), name, value, options);
    }

    @Override
    public String getScheme() {
      return "failing";
    }

    @Override
    public FileSystem newFileSystem(URI uri, Map<String, ?> environment) {
      throw new UnsupportedOperationException();
    }

    @Override
    public FileSystem getFileSystem(URI uri) {
      throw new UnsupportedOperationException();
    }

    @Override
    public Path getPath(URI uri) {
      throw new UnsupportedOperationException();
    }
  }

  /** A path whose files are reached through the counting provider. */
  private final class Seen implements Path {
    private final Path real;

    Seen(Path real) {
      this.real = real;
    }

    private @Nullable Path seen(@Nullable Path path) {
      return path == null ? null : new Seen(path);
    }

    @Override
    public FileSystem getFileSystem() {
      return FailingFiles.this;
    }

    @Override
    public boolean isAbsolute() {
      return real.isAbsolute();
    }

    @Override
    public @Nullable Path getRoot() {
      return seen(real.getRoot());
    }

    @Override
    public @Nullable Path getFileName() {
      return seen(real.getFileName());
    }

    @Override
    public @Nullable Path getParent() {
      return seen(real.getParent());
    }

    @Override
    public int getNameCount() {
      return real.getNameCount();
    }

    @Override
    public Path getName(int index) {
      return new Seen(real.getName(index));
    }

    @Override
    public Path subpath(int from, int to) {
      return new Seen(real.subpath(from, to));
    }

    @Override
    public boolean startsWith(Path other) {
      return real.startsWith(FailingFiles.real(other));
    }

    @Override
    public boolean endsWith(Path other) {
      return real.endsWith(FailingFiles.real(other));
    }

    @Override
    public Path normalize() {
      return new Seen(real.normalize());
    }

    @Override
    public Path resolve(Path other) {
      return new Seen(real.resolve(FailingFiles.real(other)));
    }

    @Override
    public Path relativize(Path other) {
      return new Seen(real.relativize(FailingFiles.real(other)));
    }

    @Override
    public URI toUri() {
      return real.toUri();
    }

    @Override
    public Path toAbsolutePath() {
      return new Seen(real.toAbsolutePath());
    }

    @Override
    public Path toRealPath(LinkOption... options) throws IOException {
      return new Seen(real.toRealPath(options));
    }

    @Override
    public WatchKey register(
        WatchService watcher, WatchEvent.Kind<?>[] events, WatchEvent.Modifier... modifiers) {
      throw new UnsupportedOperationException();
    }

    @Override
    public int compareTo(Path other) {
      return real.compareTo(FailingFiles.real(other));
    }

    @Override
    public boolean equals(@Nullable Object other) {
      return other instanceof Seen seen
          && seen.getFileSystem() == FailingFiles.this
          && seen.real.equals(real);
    }

    @Override
    public int hashCode() {
      return real.hashCode();
    }

    @Override
    public String toString() {
      return real.toString();
    }
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
    return new Seen(real.getPath(first, more));
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
