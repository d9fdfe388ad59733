package dreambooth4j.weights;

import dreambooth4j.Problem;
import dreambooth4j.RegularFile;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.Map;

/**
 * A safetensors file that is open for reading. Its header is checked whole when it is opened;
 * tensors are read in chunks, so that file and tensors may be larger than 2 GiB, and nothing is
 * mapped.
 */
public final class Safetensors implements TensorSource {
  private final Path path;
  private final FileChannel channel;
  private final SafetensorsHeader header;

  private Safetensors(Path path, FileChannel channel) throws IOException {
    this.path = path;
    this.channel = channel;
    this.header = SafetensorsHeader.read(path, channel);
  }

  /**
   * Opens a file and reads its header.
   *
   * @throws Problem when it is missing or its header is not what the format demands
   */
  public static Safetensors open(Path path) {
    try {
      FileChannel channel = RegularFile.channel(path);
      try {
        return new Safetensors(path, channel);
      } catch (IOException | RuntimeException e) {
        channel.close();
        throw e;
      }
    } catch (IOException e) {
      throw Unreadable.file(path, e);
    }
  }

  @Override
  public Path path() {
    return path;
  }

  @Override
  public Map<String, TensorInfo> tensors() {
    return header.tensors();
  }

  /** What the header's {@code __metadata__} says, such as {@code format}; cannot be changed. */
  @Override
  public Map<String, String> metadata() {
    return header.metadata();
  }

  @Override
  public Path fileOf(String name) {
    return path;
  }

  @Override
  public Tensor read(Arena arena, String name) {
    TensorInfo info = info(name);
    Tensor tensor = arena.allocate(name, info.dtype(), info.sizes());
    readPart(tensor, name, 0);
    return tensor;
  }

  @Override
  public void readInto(Tensor target, String name) {
    requireCount(target, name);
    TensorInfo info = info(name);
    if (target.dtype() == info.dtype()) {
      readPart(target, name, 0);
      return;
    }
    TensorSource.super.readInto(target, name);
  }

  /**
   * Fills a tensor with a part of one of the same type that begins so many elements from its start.
   *
   * @throws Problem when it cannot be read
   */
  public void readPart(Tensor target, String name, long from) {
    TensorInfo info = info(name);
    long first = from * info.dtype().bytes();
    try {
      target.writeBytes((chunk, offset) -> fill(chunk, first + offset, info));
    } catch (IOException e) {
      throw Unreadable.file(path, e);
    }
  }

  /**
   * The {@link Checksum} of a tensor as the file has it now.
   *
   * @throws Problem when it cannot be read
   */
  public String checksum(String name) {
    try {
      return Checksum.of(channel, info(name));
    } catch (IOException e) {
      throw Unreadable.file(path, e);
    }
  }

  private void fill(ByteBuffer chunk, long offset, TensorInfo info) throws IOException {
    while (chunk.hasRemaining()) {
      long done = offset + chunk.position();
      if (channel.read(chunk, info.offset() + done) < 0) {
        throw Problem.data(
            "%s: tensor %s: expected %d bytes, found %d: the file was truncated while it was open"
                .formatted(path, info.name(), info.bytes(), done));
      }
    }
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      throw Unreadable.file(path, e);
    }
  }
}
