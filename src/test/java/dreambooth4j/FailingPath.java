package dreambooth4j;

import java.io.IOException;
import java.net.URI;
import java.nio.file.FileSystem;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.WatchEvent;
import java.nio.file.WatchKey;
import java.nio.file.WatchService;
import org.jspecify.annotations.Nullable;

/** A path whose files are reached through {@link FailingFiles}. */
final class FailingPath implements Path {
  private final FailingFiles files;
  private final Path real;

  FailingPath(FailingFiles files, Path real) {
    this.files = files;
    this.real = real;
  }

  /** The path of the machine. */
  Path real() {
    return real;
  }

  private @Nullable Path seen(@Nullable Path path) {
    return path == null ? null : new FailingPath(files, path);
  }

  @Override
  public FileSystem getFileSystem() {
    return files;
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
    return new FailingPath(files, real.getName(index));
  }

  @Override
  public Path subpath(int from, int to) {
    return new FailingPath(files, real.subpath(from, to));
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
    return new FailingPath(files, real.normalize());
  }

  @Override
  public Path resolve(Path other) {
    return new FailingPath(files, real.resolve(FailingFiles.real(other)));
  }

  @Override
  public Path relativize(Path other) {
    return new FailingPath(files, real.relativize(FailingFiles.real(other)));
  }

  @Override
  public URI toUri() {
    return real.toUri();
  }

  @Override
  public Path toAbsolutePath() {
    return new FailingPath(files, real.toAbsolutePath());
  }

  @Override
  public Path toRealPath(LinkOption... options) throws IOException {
    return new FailingPath(files, real.toRealPath(options));
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
    return other instanceof FailingPath seen && seen.files == files && seen.real.equals(real);
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
