package dreambooth4j;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.WritableByteChannel;
import org.jspecify.annotations.Nullable;

/** A channel of {@link FailingFiles}, whose writes are counted and may fail. */
final class FailingChannel extends FileChannel {
  private final FailingFiles files;
  private final FileChannel channel;
  private final String name;

  FailingChannel(FailingFiles files, FileChannel channel, String name) {
    this.files = files;
    this.channel = channel;
    this.name = name;
  }

  @Override
  public int write(ByteBuffer bytes) throws IOException {
    String call = "write " + name;
    if (files.hits(call, true)) {
      ByteBuffer half = bytes.duplicate();
      half.limit(half.position() + half.remaining() / 2);
      channel.write(half);
      throw files.orError(call);
    }
    return channel.write(files.flips() ? flipped(bytes) : bytes);
  }

  /** What is left of the bytes, the first one another. */
  private static ByteBuffer flipped(ByteBuffer bytes) {
    ByteBuffer other = ByteBuffer.allocate(bytes.remaining()).put(bytes).flip();
    return other.put(0, (byte) ~other.get(0));
  }

  @Override
  public int write(ByteBuffer bytes, long position) throws IOException {
    files.change("write " + name, true);
    return channel.write(bytes, position);
  }

  @Override
  public long write(ByteBuffer[] bytes, int from, int length) throws IOException {
    files.change("write " + name, true);
    return channel.write(bytes, from, length);
  }

  @Override
  public long transferFrom(ReadableByteChannel source, long position, long count)
      throws IOException {
    files.change("write " + name, true);
    return channel.transferFrom(source, position, count);
  }

  @Override
  public long transferTo(long position, long count, WritableByteChannel target) throws IOException {
    if (target instanceof FailingChannel other) {
      files.change("write " + other.name, true);
      return channel.transferTo(position, count, other.channel);
    }
    return channel.transferTo(position, count, target);
  }

  @Override
  public FileChannel truncate(long size) throws IOException {
    files.change("truncate " + name, false);
    channel.truncate(size);
    return this;
  }

  @Override
  public void force(boolean all) throws IOException {
    files.change("force " + name, false);
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
