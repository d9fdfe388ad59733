package dreambooth4j.weights;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Tensors of a diffusers folder under the names and in the shapes of an original checkpoint, in the
 * order of the names.
 */
final class OriginalTensors implements TensorSource {
  private record Piece(TensorSource source, String name, Layout layout) {}

  private final Path path;
  private final List<TensorSource> sources = new ArrayList<>();
  private final Map<String, List<Piece>> pieces = new HashMap<>();
  private final Map<String, TensorInfo> tensors = new TreeMap<>();

  /** One of no tensors yet; {@code path} is the model that they come from. */
  OriginalTensors(Path path) {
    this.path = path;
  }

  /**
   * Adds a component, whose tensors are closed with this.
   *
   * @throws Problem when the original has no place for one of them
   */
  void add(Component component, OriginalPart part, TensorSource source) {
    sources.add(source);
    WeightNames.fileNames(component, source)
        .forEach(
            (ours, name) -> {
              NameTable.Entry entry = part.ofOurs(ours);
              if (entry == null) {
                throw Problem.data(
                    "%s: tensor %s: a single file has no place for it"
                        .formatted(source.path(), name));
              }
              add(entry, new Piece(source, name, entry.layout()));
            });
  }

  private void add(NameTable.Entry entry, Piece piece) {
    TensorInfo info = piece.source.info(piece.name);
    boolean fits =
        switch (piece.layout) {
          case FIRST_THIRD, SECOND_THIRD, LAST_THIRD -> !info.shape().isEmpty();
          case TRANSPOSED -> info.shape().size() == 2;
          default -> true;
        };
    if (!fits) {
      throw Problem.data(
          "%s: tensor %s: expected a matrix, found %s"
              .formatted(piece.source.path(), piece.name, info.shape()));
    }
    List<Long> shape = piece.layout.original(info.shape());
    TensorInfo made = new TensorInfo(entry.theirs(), info.dtype(), shape, 0);
    TensorInfo other = tensors.put(entry.theirs(), made);
    if (other != null && !(piece.layout.isThird() && other.equals(made))) {
      throw Problem.data(
          "%s: tensor %s: %s%s does not fit beside %s%s, with which it is one in a single file"
              .formatted(
                  piece.source.path(),
                  piece.name,
                  made.dtype(),
                  made.shape(),
                  other.dtype(),
                  other.shape()));
    }
    pieces.computeIfAbsent(entry.theirs(), name -> new ArrayList<>()).add(piece);
  }

  /**
   * Refuses queries, keys and values that are not all there.
   *
   * @throws Problem that names one
   */
  void requireWhole() {
    pieces.forEach(
        (name, parts) -> {
          if (parts.get(0).layout.isThird() && parts.size() != 3) {
            throw Problem.data(
                "%s: of queries, keys and values, which %s holds, only %s is there"
                    .formatted(parts.get(0).source.path(), name, parts.get(0).name));
          }
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

  @Override
  public Path fileOf(String name) {
    info(name);
    Piece first = pieces.getOrDefault(name, List.of()).get(0);
    return first.source.fileOf(first.name);
  }

  @Override
  public Tensor read(Arena arena, String name) {
    TensorInfo info = info(name);
    List<Piece> parts = new ArrayList<>(pieces.getOrDefault(name, List.of()));
    if (parts.get(0).layout == Layout.SAME) {
      return parts.get(0).source.read(arena, parts.get(0).name);
    }
    Tensor tensor = arena.allocate(name, info.dtype(), info.sizes());
    parts.sort(Comparator.comparing(Piece::layout));
    long rows = info.shape().isEmpty() ? 0 : info.shape().get(0) / parts.size();
    for (int i = 0; i < parts.size(); i++) {
      Piece piece = parts.get(i);
      try (Arena scratch = arena.child("read " + piece.name)) {
        Tensor stored = piece.source.read(scratch, piece.name);
        if (piece.layout == Layout.TRANSPOSED) {
          tensor.copyFrom(Strided.transposed(scratch, stored));
        } else if (parts.size() == 1) {
          tensor.copyFrom(stored.reshaped(info.sizes()));
        } else {
          Tensor place = tensor.rows(i * rows, rows);
          place.copyFrom(stored);
          place.release();
        }
      }
    }
    return tensor;
  }

  @Override
  public void close() {
    sources.forEach(TensorSource::close);
  }
}
