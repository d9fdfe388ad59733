package dreambooth4j.weights;

import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import java.util.Arrays;

/**
 * A tensor as torch pickles it: a view of a storage, which has bytes of its own in the file.
 *
 * @param offset of its first element in the storage, in elements
 * @param strides from one element to the next along each axis, in elements
 */
@SuppressWarnings("ArrayRecordComponent") // a carrier from the pickle to the file, never compared
record TorchTensor(Storage storage, long offset, long[] shape, long[] strides) {
  /** As libtorch. */
  static final int MOST_AXES = 64;

  /**
   * Numbers of one type that lie one after the other.
   *
   * @param key what the file calls it
   * @param start where they begin in what the file has under that name, in elements
   */
  record Storage(DType dtype, String key, long start, long count) {}

  /**
   * Why it cannot be a tensor of its storage, in words; an empty text if it can. One that has more
   * elements than its storage would repeat some: no weight does, and what it takes has no bound.
   */
  String fault() {
    if (shape.length != strides.length) {
      return "%d sizes and %d strides".formatted(shape.length, strides.length);
    }
    if (offset < 0
        || storage.start < 0
        || storage.count < 0
        || Arrays.stream(shape).anyMatch(n -> n < 0)
        || Arrays.stream(strides).anyMatch(n -> n < 0)) {
      return "a negative size";
    }
    try {
      long end = Math.addExact(offset, Strided.span(shape, strides));
      long bytes = Math.multiplyExact(storage.count, storage.dtype.bytes());
      Math.addExact(bytes, Math.multiplyExact(storage.start, storage.dtype.bytes()));
      if (end > storage.count || Tensor.count(shape) > storage.count) {
        return "%s from %d on, but its storage has %d elements"
            .formatted(Arrays.toString(shape), offset, storage.count);
      }
    } catch (ArithmeticException e) {
      return "%s, more than any file can hold".formatted(Arrays.toString(shape));
    }
    return "";
  }

  /** Whether its elements lie in order, without a gap. */
  boolean isContiguous() {
    long[] expected = Strided.contiguous(shape);
    for (int i = 0; i < shape.length; i++) {
      if (shape[i] != 1 && strides[i] != expected[i]) {
        return Tensor.count(shape) == 0;
      }
    }
    return true;
  }

  /** Where its first element begins in what the file has of its storage, in bytes. */
  long firstByte() {
    return (storage.start + offset) * storage.dtype.bytes();
  }
}
