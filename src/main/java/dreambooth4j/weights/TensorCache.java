package dreambooth4j.weights;

import dreambooth4j.Problem;
import dreambooth4j.Sha256;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * F32 tensors that are computed once, each known by a text that says all it was computed from. In a
 * folder it is the file {@code ab/<SHA-256 of that text>.safetensors}, read anew whenever it is
 * asked for, so that memory does not grow with their number; without a folder, or where the folder
 * cannot be written, it stays in memory.
 *
 * <p>Processes may share a folder: a file appears whole, and whoever writes it writes the same. It
 * holds the text and a checksum; one that does not keep what it promises is computed anew.
 */
public final class TensorCache {
  private static final String TENSOR = "tensor";
  private static final String CONTENT = "content";
  private static final String CHECKSUM = "crc32c";

  private final Arena arena;
  private final @Nullable Path folder;
  private final Consumer<String> note;
  private final Map<String, Tensor> memory = new HashMap<>();
  private boolean writable;
  private boolean damageNoted;

  private TensorCache(Arena arena, @Nullable Path folder, Consumer<String> note) {
    this.arena = arena;
    this.folder = folder;
    this.note = note;
    this.writable = folder != null;
  }

  /** One that keeps all in {@code arena}. */
  public static TensorCache inMemory(Arena arena) {
    return new TensorCache(arena, null, message -> {});
  }

  /**
   * One that keeps all in a folder, which is made when it is first needed.
   *
   * @param arena where tensors are read to and computed
   * @param note is told once that the folder cannot be written, and once that a file is damaged
   */
  public static TensorCache in(Path folder, Arena arena, Consumer<String> note) {
    return new TensorCache(arena, folder, note);
  }

  /** Where it lies; null if it is in memory. */
  public @Nullable Path folder() {
    return folder;
  }

  /** Where tensors are computed, read to and remembered. */
  public Arena arena() {
    return arena;
  }

  /** Whether what is computed goes to disk, as far as is known. */
  public boolean isWritable() {
    return writable;
  }

  /** Whether a tensor is there; a damaged file counts too. */
  public boolean has(String content) {
    Path file = file(content);
    return memory.containsKey(content) || (file != null && Files.isRegularFile(file));
  }

  /**
   * A tensor, held by the caller.
   *
   * @param content all that it is computed from; a line of plain text
   * @param shape what it must be
   * @param compute makes it in {@link #arena} where it is not known yet
   */
  public Tensor get(String content, long[] shape, Supplier<Tensor> compute) {
    Tensor known = memory.get(content);
    if (known != null) {
      return known.retain();
    }
    Tensor stored = read(content, shape);
    if (stored != null) {
      return stored;
    }
    Tensor fresh = compute.get();
    if (!fresh.isFinite() || !write(content, fresh)) {
      memory.put(content, fresh.retain());
    }
    return fresh;
  }

  /** Where a tensor lies, or would; null without a folder. */
  private @Nullable Path file(String content) {
    if (folder == null) {
      return null;
    }
    String name = Sha256.of(content);
    return folder.resolve(name.substring(0, 2)).resolve(name + ".safetensors");
  }

  private @Nullable Tensor read(String content, long[] shape) {
    Path file = file(content);
    if (file == null || !Files.isRegularFile(file)) {
      return null;
    }
    try (Safetensors source = Safetensors.open(file)) {
      return read(source, content, shape);
    } catch (Problem e) {
      if (!damageNoted && Files.exists(file)) {
        damageNoted = true;
        note.accept(
            "a cached entry was damaged and is computed again: %s. Further damaged entries are computed again without a message."
                .formatted(e.getMessage()));
      }
      return null;
    }
  }

  private Tensor read(Safetensors source, String content, long[] shape) {
    TensorInfo info = source.tensors().get(TENSOR);
    if (!content.equals(source.metadata().get(CONTENT))
        || info == null
        || info.dtype() != DType.F32
        || !Arrays.equals(info.sizes(), shape)) {
      throw Problem.data(
          "%s: expected F32%s of %s, found something else"
              .formatted(source.path(), Arrays.toString(shape), content));
    }
    Tensor tensor = source.read(arena, TENSOR);
    if (!Checksum.of(tensor).equals(source.metadata().get(CHECKSUM)) || !tensor.isFinite()) {
      tensor.release();
      throw Problem.data(source.path() + ": its numbers are not those that were written");
    }
    return tensor;
  }

  /** Whether the tensor is on disk now. */
  private boolean write(String content, Tensor tensor) {
    Path file = file(content);
    if (file == null || !writable) {
      return false;
    }
    SafetensorsWriter writer =
        new SafetensorsWriter()
            .metadata(CONTENT, content)
            .metadata(CHECKSUM, Checksum.of(tensor))
            .add(TENSOR, tensor);
    // Not forced to the disk: what a crash leaves of it, the checksum finds out.
    try (StagedFiles files = StagedFiles.unforced()) {
      files.add(file, writer.body(arena));
      files.commit();
      return true;
    } catch (Problem e) {
      writable = false;
      note.accept(
          "the cache in %s cannot be written: %s What cannot be written there is kept in memory."
              .formatted(folder, e.getMessage()));
      return false;
    }
  }
}
