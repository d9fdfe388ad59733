package dreambooth4j.weights;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.LowRank;
import org.jspecify.annotations.Nullable;

/**
 * Two factors of a layer whose product is a matrix: [m, r] and [r, n]. Of a convolution there may
 * be a core between them, [r, s, height, width]; then the second is [s, n].
 */
final class LoraProduct {
  private final LoraTensors tensors;
  private final LoraFactor left;
  private final @Nullable LoraFactor core;
  private final LoraFactor right;

  /** Whether the first is [r, m], as LyCORIS has it where there is a core. */
  private final boolean flipped;

  private final long rows;
  private final long columns;

  /**
   * Checks that the two fit each other.
   *
   * @param core what may be between them; null where nothing may
   * @param flips whether the first is the other way round where there is a core
   * @throws dreambooth4j.Problem when one is missing or they do not fit
   */
  LoraProduct(
      LoraTensors tensors,
      LoraFactor left,
      @Nullable LoraFactor core,
      LoraFactor right,
      boolean flips) {
    this.tensors = tensors;
    this.left = left;
    this.core = core != null && tensors.has(core) ? core : null;
    this.right = right;
    TensorInfo first = tensors.info(left);
    TensorInfo second = tensors.info(right);
    flipped = flips && this.core != null;
    tensors.require(first.shape().size() >= 2, left, "two axes");
    tensors.require(second.shape().size() >= 2, right, "two axes");
    long rank = first.shape().get(flipped ? 0 : 1);
    rows = first.shape().get(flipped ? 1 : 0);
    tensors.require(rank > 0 && first.count() == rows * rank, left, "a matrix");
    if (this.core != null) {
      TensorInfo between = tensors.info(this.core);
      tensors.require(
          between.shape().size() == 4 && between.shape().get(0) == rank,
          this.core,
          "[%d, .., height, width]".formatted(rank));
      long area = between.shape().get(2) * between.shape().get(3);
      tensors.require(
          second.shape().get(0).equals(between.shape().get(1))
              && second.count() == second.shape().get(0) * second.shape().get(1),
          right,
          "[%d, ..]".formatted(between.shape().get(1)));
      columns = Math.multiplyExact(second.shape().get(1), area);
    } else {
      tensors.require(second.shape().get(0) == rank, right, "[%d, ..]".formatted(rank));
      columns = second.count() / rank;
    }
  }

  /** What alpha is divided by. */
  long rank() {
    return tensors.info(right).shape().get(0);
  }

  /** Rows of the product. */
  long rows() {
    return rows;
  }

  /** Columns of the product, those of a core's height and width among them. */
  long columns() {
    return columns;
  }

  /** Refuses a product of another size. */
  void require(long wantedRows, long wantedColumns) {
    tensors.require(
        rows == wantedRows,
        left,
        flipped ? "[.., %d]".formatted(wantedRows) : wantedRows + " rows");
    tensors.require(columns == wantedColumns, right, wantedColumns + " columns");
  }

  /** The product, F32. */
  Tensor compute(Arena arena, long... shape) {
    Tensor first = tensors.read(arena, left);
    Tensor second = tensors.read(arena, right);
    if (core == null) {
      return LowRank.product(arena, first, second, shape);
    }
    Tensor upright = flipped ? LowRank.transposed(arena, first) : first;
    return LowRank.product(arena, upright, tensors.read(arena, core), second).reshaped(shape);
  }
}
