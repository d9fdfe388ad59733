package dreambooth4j.weights;

import dreambooth4j.Problem;
import dreambooth4j.RegularFile;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The tensors of a model that torch has pickled: a {@code .ckpt}, of either format, perhaps with
 * the rest of a training run's state around them. Nothing of the pickle is run: see {@link
 * TorchPickle}.
 */
final class TorchFile implements TensorSource {
  /** Under which names a model's state is, and the vectors of A1111's embeddings. */
  private static final List<String> INNER = List.of("state_dict", "string_to_param");

  private static final String STEP = "global_step";
  private static final String NAME = "name";
  private static final byte[] ZIP = {'P', 'K', 3, 4};
  private static final byte[] PICKLE = {(byte) 0x80, 2, (byte) 0x8a, 10};

  private final Path path;
  private final TorchStorages storages;
  private final Map<String, String> metadata;
  private final Map<String, TorchTensor> views = new LinkedHashMap<>();
  private final Map<String, TensorInfo> tensors = new LinkedHashMap<>();

  private TorchFile(Path path, TorchStorages storages, @Nullable Object content) {
    this.path = path;
    this.storages = storages;
    if (!(content instanceof Map<?, ?> root)) {
      throw Problem.data(path + ": expected a pickled dictionary of tensors, found something else");
    }
    Map<?, ?> state = root;
    for (String each : INNER) {
      state = root.get(each) instanceof Map<?, ?> inner ? inner : state;
    }
    state.forEach(
        (name, value) -> {
          if (name instanceof String text && value instanceof TorchTensor tensor) {
            views.put(text, tensor);
          }
        });
    Map<String, String> notes = new LinkedHashMap<>();
    if (root.get(STEP) instanceof Number step) {
      notes.put(STEP, step.toString());
    }
    if (root.get(NAME) instanceof String name) {
      notes.put(NAME, name);
    }
    metadata = Collections.unmodifiableMap(notes);
  }

  /** Whether a file begins as torch's do. */
  static boolean isOne(Path path) {
    try (InputStream in = RegularFile.stream(path)) {
      byte[] first = in.readNBytes(ZIP.length);
      return Arrays.equals(first, ZIP) || Arrays.equals(first, PICKLE);
    } catch (IOException e) {
      throw Unreadable.file(path, e);
    }
  }

  /**
   * Opens a file and reads its pickle.
   *
   * @throws Problem when it is damaged, or its pickle calls what is no tensor and no container
   */
  static TorchFile open(Path path) {
    try {
      RegularFile.require(path);
      try (InputStream in = RegularFile.stream(path)) {
        return in.read() == ZIP[0] ? zip(path) : legacy(path);
      }
    } catch (IOException e) {
      throw new Problem(
          Problem.Kind.DATA, "%s: cannot be read: %s".formatted(path, Problem.why(e)), e);
    }
  }

  private static TorchFile zip(Path path) throws IOException {
    ZipStorages zip = new ZipStorages(path);
    try (InputStream pickle = zip.pickle()) {
      TorchFile file =
          new TorchFile(path, zip, new TorchPickle(path, new PickleInput(pickle)).next());
      file.requireThere();
      return file;
    } catch (IOException | RuntimeException e) {
      zip.close();
      throw e;
    }
  }

  private static TorchFile legacy(Path path) throws IOException {
    LegacyStorages legacy = new LegacyStorages(path);
    try {
      TorchFile file = new TorchFile(path, legacy, legacy.content());
      file.requireThere();
      return file;
    } catch (RuntimeException e) {
      legacy.close();
      throw e;
    }
  }

  private void requireThere() {
    views.forEach(
        (name, view) -> {
          String fault = view.fault();
          TorchTensor.Storage storage = view.storage();
          if (fault.isEmpty()) {
            long expected = (storage.start() + storage.count()) * storage.dtype().bytes();
            long found = storages.bytes(storage.key());
            fault =
                found >= expected
                    ? ""
                    : "a storage %s of %d bytes, found %s"
                        .formatted(
                            storage.key(), expected, found < 0 ? "none" : Long.toString(found));
          }
          if (!fault.isEmpty()) {
            throw Problem.data(
                "%s: tensor %s: it cannot be what it says it is: %s".formatted(path, name, fault));
          }
          List<Long> shape = Arrays.stream(view.shape()).boxed().toList();
          tensors.put(name, new TensorInfo(name, storage.dtype(), shape, 0));
        });
  }

  @Override
  public Path path() {
    return path;
  }

  @Override
  public Map<String, TensorInfo> tensors() {
    return Collections.unmodifiableMap(tensors);
  }

  /** {@code global_step}, where a training run wrote it, and {@code name} of an embedding. */
  @Override
  public Map<String, String> metadata() {
    return metadata;
  }

  @Override
  public Path fileOf(String name) {
    return path;
  }

  @Override
  public Tensor read(Arena arena, String name) {
    TensorInfo info = info(name);
    TorchTensor view = Objects.requireNonNull(views.get(name));
    String key = view.storage().key();
    try {
      if (view.isContiguous()) {
        Tensor tensor = arena.allocate(name, info.dtype(), info.sizes());
        tensor.writeBytes((bytes, offset) -> storages.read(key, view.firstByte() + offset, bytes));
        return tensor;
      }
      int size = info.dtype().bytes();
      long span = Math.multiplyExact(Strided.span(view.shape(), view.strides()), size);
      long most =
          Math.max(span, Math.multiplyExact(info.count(), size)); // some may lie there twice
      if (most > Integer.MAX_VALUE - Long.BYTES) {
        throw Problem.data(
            "%s: tensor %s: %,d bytes that are not in order: more than 2 GB are not put in order here"
                .formatted(path, name, most));
      }
      byte[] stored = new byte[(int) span];
      storages.read(key, view.firstByte(), ByteBuffer.wrap(stored));
      return Strided.gather(arena, name, info.dtype(), stored, view.shape(), view.strides());
    } catch (IOException e) {
      throw Unreadable.file(path, e);
    }
  }

  @Override
  public void close() {
    try {
      storages.close();
    } catch (IOException e) {
      throw Unreadable.file(path, e);
    }
  }
}
