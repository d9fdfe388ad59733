package dreambooth4j.weights;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** How an original checkpoint holds a tensor of a diffusers folder. */
enum Layout {
  /** As it is. */
  SAME,
  /** Linear weights [out, in] as those of a 1×1 convolution, [out, in, 1, 1]; a bias as it is. */
  POINTWISE,
  /** As the first third of the rows: the queries of an attention whose projections are one. */
  FIRST_THIRD,
  /** As the second third of the rows: the keys. */
  SECOND_THIRD,
  /** As the last third of the rows: the values. */
  LAST_THIRD,
  /** With rows and columns exchanged. */
  TRANSPOSED;

  /** Whether it is one of three tensors that the original holds one below the other. */
  boolean isThird() {
    return this == FIRST_THIRD || this == SECOND_THIRD || this == LAST_THIRD;
  }

  /** Of a third, how many come before it. */
  int third() {
    return switch (this) {
      case SECOND_THIRD -> 1;
      case LAST_THIRD -> 2;
      default -> 0;
    };
  }

  /** The shape in a diffusers folder of what the original holds in this one; null if it cannot. */
  @Nullable List<Long> diffusers(List<Long> original) {
    return switch (this) {
      case SAME -> original;
      case POINTWISE ->
          original.size() == 4 && original.get(2) == 1 && original.get(3) == 1
              ? original.subList(0, 2)
              : original;
      case FIRST_THIRD, SECOND_THIRD, LAST_THIRD ->
          original.isEmpty() || original.get(0) % 3 != 0
              ? null
              : withRows(original, original.get(0) / 3);
      case TRANSPOSED -> original.size() == 2 ? List.of(original.get(1), original.get(0)) : null;
    };
  }

  /** The shape in the original of what a diffusers folder holds in this one. */
  List<Long> original(List<Long> diffusers) {
    return switch (this) {
      case SAME -> diffusers;
      case POINTWISE ->
          diffusers.size() == 2 ? List.of(diffusers.get(0), diffusers.get(1), 1L, 1L) : diffusers;
      case FIRST_THIRD, SECOND_THIRD, LAST_THIRD ->
          withRows(diffusers, Math.multiplyExact(3, diffusers.get(0)));
      case TRANSPOSED -> List.of(diffusers.get(1), diffusers.get(0));
    };
  }

  private static List<Long> withRows(List<Long> shape, long rows) {
    List<Long> changed = new ArrayList<>(shape);
    changed.set(0, rows);
    return List.copyOf(changed);
  }
}
