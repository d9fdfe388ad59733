package dreambooth4j.weights;

import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tensor;
import java.util.Arrays;
import java.util.List;

/**
 * What a file's header says of one tensor.
 *
 * @param name its name in the file
 * @param dtype its element type in the file
 * @param shape its sizes, outermost first; none for a scalar
 * @param offset where its bytes begin, in bytes from the file's beginning
 */
public record TensorInfo(String name, DType dtype, List<Long> shape, long offset) {
  /** Its sizes as the engine takes them; a new array. */
  public long[] sizes() {
    long[] sizes = new long[shape.size()];
    for (int i = 0; i < sizes.length; i++) {
      sizes[i] = shape.get(i);
    }
    return sizes;
  }

  /** Number of elements. */
  public long count() {
    return Tensor.count(sizes());
  }

  /** Whether its shape is a weight's in a file, ones at the end aside. */
  boolean fits(Parameter parameter) {
    return Arrays.equals(withoutTrailingOnes(parameter.fileShape()), withoutTrailingOnes(sizes()));
  }

  private static long[] withoutTrailingOnes(long[] sizes) {
    int rank = sizes.length;
    while (rank > 0 && sizes[rank - 1] == 1) {
      rank--;
    }
    return Arrays.copyOf(sizes, rank);
  }

  /** Bytes that it takes in the file. */
  public long bytes() {
    return Math.multiplyExact(count(), dtype.bytes());
  }
}
