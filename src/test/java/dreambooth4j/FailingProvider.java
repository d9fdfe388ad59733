package dreambooth4j;

import java.io.IOException;
import java.net.URI;
import java.nio.channels.FileChannel;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.AccessMode;
import java.nio.file.CopyOption;
import java.nio.file.DirectoryStream;
import java.nio.file.FileStore;
import java.nio.file.FileSystem;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.FileAttributeView;
import java.nio.file.attribute.FileStoreAttributeView;
import java.nio.file.spi.FileSystemProvider;
import java.util.Iterator;
import java.util.Map;
import java.util.Set;
import java.util.stream.StreamSupport;
import org.jspecify.annotations.Nullable;

/** The calls of {@link FailingFiles}: each that changes something is counted and may fail. */
final class FailingProvider extends FileSystemProvider {
  private final FailingFiles files;

  FailingProvider(FailingFiles files) {
    this.files = files;
  }

  private FileSystemProvider of(Path path) {
    return FailingFiles.real(path).getFileSystem().provider();
  }

  @Override
  public FileChannel newFileChannel(
      Path path, Set<? extends OpenOption> options, FileAttribute<?>... attributes)
      throws IOException {
    if (options.contains(StandardOpenOption.CREATE_NEW)
        || (options.contains(StandardOpenOption.CREATE) && !Files.exists(FailingFiles.real(path)))
        || options.contains(StandardOpenOption.TRUNCATE_EXISTING)) {
      files.change("create " + path.getFileName(), true);
    }
    FileChannel channel = of(path).newFileChannel(FailingFiles.real(path), options, attributes);
    return files.opened(channel, String.valueOf(path.getFileName()));
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
        of(folder)
            .newDirectoryStream(FailingFiles.real(folder), each -> filter.accept(files.path(each)));
    return new DirectoryStream<>() {
      @Override
      public Iterator<Path> iterator() {
        return StreamSupport.stream(stream.spliterator(), false).map(files::path).iterator();
      }

      @Override
      public void close() throws IOException {
        stream.close();
      }
    };
  }

  @Override
  public void createDirectory(Path folder, FileAttribute<?>... attributes) throws IOException {
    if (!Files.exists(FailingFiles.real(folder))) {
      files.change("mkdir " + folder.getFileName(), true);
    }
    of(folder).createDirectory(FailingFiles.real(folder), attributes);
  }

  @Override
  public void delete(Path path) throws IOException {
    if (Files.exists(FailingFiles.real(path), LinkOption.NOFOLLOW_LINKS)) {
      files.change("delete " + path.getFileName(), false);
    }
    of(path).delete(FailingFiles.real(path));
  }

  @Override
  public void copy(Path source, Path target, CopyOption... options) throws IOException {
    files.change("copy " + target.getFileName(), true);
    of(source).copy(FailingFiles.real(source), FailingFiles.real(target), options);
  }

  @Override
  public void move(Path source, Path target, CopyOption... options) throws IOException {
    files.change("move %s %s".formatted(source.getFileName(), target.getFileName()), false);
    of(source).move(FailingFiles.real(source), FailingFiles.real(target), options);
  }

  @Override
  public boolean isSameFile(Path one, Path other) throws IOException {
    return Files.isSameFile(FailingFiles.real(one), FailingFiles.real(other));
  }

  @Override
  public boolean isHidden(Path path) throws IOException {
    return of(path).isHidden(FailingFiles.real(path));
  }

  @Override
  public FileStore getFileStore(Path path) throws IOException {
    FileStore store = of(path).getFileStore(FailingFiles.real(path));
    return files.room() == Long.MAX_VALUE ? store : new SmallStore(store, files.room());
  }

  /** A disk that has less free than it has. */
  private static final class SmallStore extends FileStore {
    private final FileStore store;
    private final long room;

    SmallStore(FileStore store, long room) {
      this.store = store;
      this.room = room;
    }

    @Override
    public long getUsableSpace() throws IOException {
      return Math.min(room, store.getUsableSpace());
    }

    @Override
    public long getUnallocatedSpace() throws IOException {
      return Math.min(room, store.getUnallocatedSpace());
    }

    @Override
    public long getTotalSpace() throws IOException {
      return store.getTotalSpace();
    }

    @Override
    public String name() {
      return store.name();
    }

    @Override
    public String type() {
      return store.type();
    }

    @Override
    public boolean isReadOnly() {
      return store.isReadOnly();
    }

    @Override
    public boolean supportsFileAttributeView(Class<? extends FileAttributeView> type) {
      return store.supportsFileAttributeView(type);
    }

    @Override
    public boolean supportsFileAttributeView(String name) {
      return store.supportsFileAttributeView(name);
    }

    @Override
    public <V extends FileStoreAttributeView> @Nullable V getFileStoreAttributeView(Class<V> type) {
      return store.getFileStoreAttributeView(type);
    }

    @Override
    public @Nullable Object getAttribute(String attribute) throws IOException {
      return store.getAttribute(attribute);
    }

    @Override
    public boolean equals(@Nullable Object other) {
      return other instanceof SmallStore small && small.store.equals(store);
    }

    @Override
    public int hashCode() {
      return store.hashCode();
    }
  }

  @Override
  public void checkAccess(Path path, AccessMode... modes) throws IOException {
    of(path).checkAccess(FailingFiles.real(path), modes);
  }

  @Override
  public <V extends FileAttributeView> V getFileAttributeView(
      Path path, Class<V> type, LinkOption... options) {
    return of(path).getFileAttributeView(FailingFiles.real(path), type, options);
  }

  @Override
  public <A extends BasicFileAttributes> A readAttributes(
      Path path, Class<A> type, LinkOption... options) throws IOException {
    return of(path).readAttributes(FailingFiles.real(path), type, options);
  }

  @Override
  public Map<String, Object> readAttributes(Path path, String attributes, LinkOption... options)
      throws IOException {
    return of(path).readAttributes(FailingFiles.real(path), attributes, options);
  }

  @Override
  public void setAttribute(Path path, String name, Object value, LinkOption... options)
      throws IOException {
    files.change("set " + path.getFileName(), false);
    of(path).setAttribute(FailingFiles.real(path), name, value, options);
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
