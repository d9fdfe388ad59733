package dreambooth4j.weights;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;

/** Tensors whose elements do not lie one after the other, put in order on the Java heap. */
final class Strided {
  private Strided() {}

  /** The steps from one element to the next along each axis of a tensor that is in order. */
  static long[] contiguous(long... shape) {
    long[] strides = new long[shape.length];
    long step = 1;
    for (int i = shape.length - 1; i >= 0; i--) {
      strides[i] = step;
      step = Math.multiplyExact(step, shape[i]);
    }
    return strides;
  }

  /** How many elements of a storage lie between the first and the last of a tensor, these too. */
  static long span(long[] shape, long[] strides) {
    long last = 0;
    for (int i = 0; i < shape.length; i++) {
      if (shape[i] == 0) {
        return 0;
      }
      last = Math.addExact(last, Math.multiplyExact(shape[i] - 1, strides[i]));
    }
    return last + 1;
  }

  /**
   * A tensor in order.
   *
   * @param stored elements, the tensor's first one first
   * @param strides steps in {@code stored} along each axis, in elements
   */
  static Tensor gather(
      Arena arena, String name, DType dtype, byte[] stored, long[] shape, long[] strides) {
    byte[] ordered = new byte[Math.toIntExact(Tensor.count(shape) * dtype.bytes())];
    copy(stored, 0, ordered, new int[1], 0, shape, strides, dtype.bytes());
    Tensor tensor = arena.allocate(name, dtype, shape);
    tensor.writeBytes((bytes, offset) -> bytes.put(ordered, (int) offset, bytes.remaining()));
    return tensor;
  }

  private static void copy(
      byte[] from,
      long first,
      byte[] to,
      int[] done,
      int axis,
      long[] shape,
      long[] strides,
      int size) {
    if (axis == shape.length) {
      System.arraycopy(from, (int) first * size, to, done[0], size);
      done[0] += size;
      return;
    }
    for (long i = 0; i < shape[axis]; i++) {
      copy(from, first + i * strides[axis], to, done, axis + 1, shape, strides, size);
    }
  }

  /** A matrix with rows and columns exchanged, in {@code arena}; the caller holds it. */
  static Tensor transposed(Arena arena, Tensor matrix) {
    byte[] stored = new byte[Math.toIntExact(matrix.count() * matrix.dtype().bytes())];
    matrix.readBytes((bytes, offset) -> bytes.get(stored, (int) offset, bytes.remaining()));
    long[] shape = {matrix.size(1), matrix.size(0)};
    long[] strides = {1, matrix.size(1)};
    return gather(arena, "transposed", matrix.dtype(), stored, shape, strides);
  }
}
