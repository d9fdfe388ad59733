package dreambooth4j.weights;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import java.nio.file.Path;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;

/**
 * Tensors of an original checkpoint under the names and in the shapes of a diffusers folder, in the
 * order of the names: as the format's own library writes them.
 */
final class DiffusersTensors implements TensorSource {
  private final TensorSource original;
  private final Map<String, NameTable.Entry> entries = new HashMap<>();
  private final Map<String, TensorInfo> tensors = new TreeMap<>();

  /**
   * A view, which closes {@code original} when it is closed.
   *
   * @throws Problem when a shape is none that the original has in such a place
   */
  DiffusersTensors(TensorSource original, List<NameTable.Entry> wanted) {
    this.original = original;
    for (NameTable.Entry each : wanted) {
      TensorInfo stored = original.info(each.theirs());
      List<Long> shape = each.layout().diffusers(stored.shape());
      if (shape == null) {
        throw Problem.data(
            "%s: tensor %s: expected %s, found %s"
                .formatted(
                    original.path(),
                    stored.name(),
                    each.layout().isThird() ? "three times as many rows" : "a matrix",
                    stored.shape()));
      }
      NameTable.Entry other = entries.put(each.ours(), each);
      if (other != null) {
        throw Problem.data(
            "%s: tensor %s: it is there twice, also as %s"
                .formatted(original.path(), each.theirs(), other.theirs()));
      }
      tensors.put(each.ours(), new TensorInfo(each.ours(), stored.dtype(), shape, stored.offset()));
    }
  }

  @Override
  public Path path() {
    return original.path();
  }

  @Override
  public Map<String, TensorInfo> tensors() {
    return Collections.unmodifiableMap(tensors);
  }

  @Override
  public Map<String, String> metadata() {
    return original.metadata();
  }

  @Override
  public Path fileOf(String name) {
    return original.fileOf(entry(name).theirs());
  }

  @Override
  public Tensor read(Arena arena, String name) {
    NameTable.Entry entry = entry(name);
    if (entry.layout() == Layout.SAME) {
      return original.read(arena, entry.theirs());
    }
    Tensor tensor = arena.allocate(name, info(name).dtype(), info(name).sizes());
    try (Arena scratch = arena.child("read " + name)) {
      tensor.copyFrom(taken(scratch, entry));
    }
    return tensor;
  }

  @Override
  public void readInto(Tensor target, String name) {
    NameTable.Entry entry = entry(name);
    if (entry.layout() == Layout.SAME || entry.layout() == Layout.POINTWISE) {
      original.readInto(target, entry.theirs());
      return;
    }
    requireCount(target, name);
    try (Arena scratch = target.arena().child("read " + name)) {
      target.copyFrom(taken(scratch, entry).reshaped(target.shape()));
    }
  }

  /** A tensor as the folder has it, in {@code scratch}: perhaps a part of what was read. */
  private Tensor taken(Arena scratch, NameTable.Entry entry) {
    Tensor stored = original.read(scratch, entry.theirs());
    long[] sizes = info(entry.ours()).sizes();
    return switch (entry.layout()) {
      case SAME, POINTWISE -> stored.reshaped(sizes);
      case FIRST_THIRD, SECOND_THIRD, LAST_THIRD ->
          stored.rows(entry.layout().third() * sizes[0], sizes[0]);
      case TRANSPOSED -> Strided.transposed(scratch, stored);
    };
  }

  private NameTable.Entry entry(String name) {
    info(name);
    return Objects.requireNonNull(entries.get(name));
  }

  @Override
  public void close() {
    original.close();
  }
}
