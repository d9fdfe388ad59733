package dreambooth4j.weights;

import dreambooth4j.Problem;
import dreambooth4j.RegularFile;
import dreambooth4j.engine.DType;
import java.io.EOFException;
import java.io.IOException;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A file of torch before version 1.6: five pickles (a number that marks it, a version, what machine
 * wrote it, the content, the names of its storages), then the storages, each behind its length.
 */
final class LegacyStorages implements TorchStorages {
  private static final BigInteger MARK = new BigInteger("1950a86a20f9469cfc6c", 16);
  private static final int VERSION = 1001;

  private record Place(long offset, long bytes) {}

  private final Path path;
  private final FileChannel channel;
  private final Map<String, Place> places = new HashMap<>();
  private final @Nullable Object content;

  LegacyStorages(Path path) throws IOException {
    this.path = path;
    this.channel = RegularFile.channel(path);
    try {
      PickleInput in = new PickleInput(Channels.newInputStream(channel));
      TorchPickle pickle = new TorchPickle(path, in);
      if (!MARK.equals(pickle.next())) {
        throw Problem.data(path + ": a pickle, but none of torch: this is no model");
      }
      if (!Integer.valueOf(VERSION).equals(pickle.next())
          || !(pickle.next() instanceof Map<?, ?> machine)
          || !Boolean.TRUE.equals(machine.get("little_endian"))) {
        throw Problem.data(
            path + ": expected torch's version 1001 with little-endian numbers, found another");
      }
      content = pickle.next();
      List<?> keys = pickle.next() instanceof List<?> list ? list : List.of();
      locate(keys, pickle.types(), in.position());
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
  }

  /** What the file holds. */
  @Nullable Object content() {
    return content;
  }

  /** Finds where the storages lie: their lengths are in elements, whose types the pickle says. */
  private void locate(List<?> keys, Map<String, DType> types, long from) throws IOException {
    long at = from;
    for (Object each : keys) {
      if (!(each instanceof String key)) {
        throw Problem.data(path + ": a damaged list of storages: one has a name that is no text");
      }
      DType type = types.get(key);
      ByteBuffer length = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
      fill(length, at);
      long count = length.flip().getLong();
      long start = at + Long.BYTES;
      if (type == null || count < 0 || count > (channel.size() - start) / type.bytes()) {
        throw Problem.data(
            "%s: the storage %s has %d elements%s"
                .formatted(
                    path,
                    key,
                    count,
                    type == null ? ", which no tensor has" : ": the file is truncated"));
      }
      places.put(key, new Place(start, count * type.bytes()));
      at = start + count * type.bytes();
    }
  }

  @Override
  public long bytes(String key) {
    Place place = places.get(key);
    return place == null ? -1 : place.bytes;
  }

  @Override
  public void read(String key, long offset, ByteBuffer target) throws IOException {
    Place place = places.get(key);
    if (place == null || offset + target.remaining() > place.bytes) {
      throw new EOFException("storage " + key + " ends before byte " + offset);
    }
    fill(target, place.offset + offset);
  }

  private void fill(ByteBuffer target, long offset) throws IOException {
    long at = offset;
    while (target.hasRemaining()) {
      int got = channel.read(target, at);
      if (got < 0) {
        throw new EOFException("the file is truncated at byte " + at);
      }
      at += got;
    }
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
