package dreambooth4j.weights;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.Problem;
import dreambooth4j.Sha256;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/**
 * Writes a safetensors file: tensors are named first, then written one after the other, each made
 * in the file's type and order only when its turn comes.
 */
public final class SafetensorsWriter {
  private static final int ALIGNMENT_BYTES = 8;

  private record Item(TensorInfo info, Function<Arena, Tensor> content) {}

  private final Map<String, String> metadata = new LinkedHashMap<>(Map.of("format", "pt"));
  private final List<Item> items = new ArrayList<>();
  private LongConsumer progress = bytes -> {};
  private final Set<String> names = new HashSet<>(Set.of("__metadata__"));

  /** Sets an entry of the header's {@code __metadata__}, which says {@code format: pt} at first. */
  public SafetensorsWriter metadata(String key, String value) {
    metadata.put(key, value);
    return this;
  }

  /** Has somebody told how many bytes more are written, piece by piece. */
  public SafetensorsWriter progress(LongConsumer told) {
    progress = told;
    return this;
  }

  /** A tensor as it is; its holder keeps it until the file is written. */
  public SafetensorsWriter add(String name, Tensor tensor) {
    return add(name, tensor.dtype(), tensor.shape(), arena -> tensor);
  }

  /**
   * All tensors of a source, which stays open until the file is written.
   *
   * @param dtype what its floating-point numbers are to be in the file; null for what they are
   */
  public SafetensorsWriter add(TensorSource source, @Nullable DType dtype) {
    for (TensorInfo info : source.tensors().values()) {
      add(info.name(), source, info.name(), dtype);
    }
    return this;
  }

  /** One tensor of a source, under a name of its own; as {@link #add(TensorSource, DType)}. */
  public SafetensorsWriter add(
      String name, TensorSource source, String stored, @Nullable DType dtype) {
    TensorInfo info = source.info(stored);
    DType written = dtype == null || !info.dtype().isFloat() ? info.dtype() : dtype;
    return add(
        name,
        written,
        info.sizes(),
        arena -> {
          Tensor tensor = source.read(arena, stored);
          if (tensor.dtype() == written) {
            return tensor;
          }
          Tensor converted = arena.allocate(name, written, tensor.shape());
          converted.copyFrom(tensor);
          if (written == DType.F16 && !converted.isFinite()) {
            throw Problem.data(
                "%s: tensor %s has numbers that fp16 cannot hold: write it in bf16 or fp32"
                    .formatted(source.path(), stored));
          }
          return converted;
        });
  }

  /** A tensor without elements, which says something by its name. */
  SafetensorsWriter mark(String name) {
    return add(name, DType.F32, new long[] {0}, arena -> arena.zeros(name, DType.F32, 0));
  }

  /**
   * A tensor that is made when its turn comes.
   *
   * @param content makes it, in the type and of as many elements as said, in the arena given or
   *     elsewhere
   */
  SafetensorsWriter add(String name, DType dtype, long[] shape, Function<Arena, Tensor> content) {
    if (!names.add(name)) {
      throw new IllegalArgumentException(name + " was added twice, or is reserved");
    }
    List<Long> sizes = Arrays.stream(shape).boxed().toList();
    items.add(new Item(new TensorInfo(name, dtype, sizes, 0), content));
    return this;
  }

  /**
   * Writes the file, whole or not at all: until it is complete and on the disk, what was there
   * before stays.
   *
   * @param arena holds one tensor at a time where order or type must change
   * @throws Problem when it cannot be written
   */
  public void write(Arena arena, Path target) {
    StagedFiles.write(target, body(arena));
  }

  /** The file's content; {@code arena} holds one tensor at a time while it is written. */
  StagedFiles.Body body(Arena arena) {
    long bytes = items.stream().mapToLong(item -> item.info().bytes()).sum();
    return StagedFiles.Body.of(bytes, channel -> writeTo(channel, arena));
  }

  private void writeTo(FileChannel channel, Arena arena) throws IOException {
    List<Item> ordered = ordered();
    writeAll(channel, header(ordered));
    eachTensor(
        ordered,
        arena,
        bytes -> {
          int length = bytes.remaining();
          writeAll(channel, bytes);
          progress.accept(length);
        });
  }

  /** SHA-256 of what the file will hold behind its header, by which programs know a LoRA. */
  String hashOfTensors(Arena arena) {
    MessageDigest digest = Sha256.digest();
    eachTensor(ordered(), arena, digest::update);
    return HexFormat.of().formatHex(digest.digest());
  }

  private List<Item> ordered() {
    List<Item> ordered = new ArrayList<>(items);
    // Wide types first, as the format's own library does: every tensor begins on a multiple of its
    // element's size.
    ordered.sort(Comparator.comparing(item -> -item.info().dtype().bytes()));
    return ordered;
  }

  /** What becomes of bytes. */
  private interface Sink<E extends Exception> {
    void take(ByteBuffer bytes) throws E;
  }

  private static <E extends Exception> void eachTensor(
      List<Item> ordered, Arena arena, Sink<E> sink) throws E {
    for (Item item : ordered) {
      try (Arena scratch = arena.child("write " + item.info().name())) {
        Tensor content = item.content().apply(scratch);
        content.readBytes((bytes, offset) -> sink.take(bytes));
      }
    }
  }

  private ByteBuffer header(List<Item> ordered) throws IOException {
    ObjectMapper mapper = new ObjectMapper();
    ObjectNode root = mapper.createObjectNode();
    metadata.forEach(root.putObject("__metadata__")::put);
    long offset = 0;
    for (Item item : ordered) {
      TensorInfo info = item.info();
      long end = offset + info.bytes();
      ObjectNode entry = root.putObject(info.name());
      entry.put("dtype", info.dtype().name());
      info.shape().forEach(entry.putArray("shape")::add);
      entry.putArray("data_offsets").add(offset).add(end);
      offset = end;
    }
    byte[] json = mapper.writeValueAsBytes(root);
    int length = (json.length + ALIGNMENT_BYTES - 1) / ALIGNMENT_BYTES * ALIGNMENT_BYTES;
    byte[] padded = Arrays.copyOf(json, length);
    Arrays.fill(padded, json.length, length, (byte) ' ');
    return ByteBuffer.allocate(Long.BYTES + length)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(length)
        .put(padded)
        .flip();
  }

  private static void writeAll(FileChannel channel, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }
}
