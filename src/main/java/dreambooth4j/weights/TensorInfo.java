package dreambooth4j.weights;

import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
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
    return shape.stream().mapToLong(Long::longValue).toArray();
  }

  /** Number of elements. */
  public long count() {
    return Tensor.count(sizes());
  }

  /** Bytes that it takes in the file. */
  public long bytes() {
    return Math.multiplyExact(count(), dtype.bytes());
  }
}
