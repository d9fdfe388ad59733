package dreambooth4j.weights;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tensor;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;

/** Named tensors in one or several files, read one at a time. */
public interface TensorSource extends AutoCloseable {
  /** The file, or the index of several, that it was opened from. */
  Path path();

  /** All tensors by name, in the order of the files; cannot be changed. */
  Map<String, TensorInfo> tensors();

  /** Notes on the tensors, by name; none where they are in several files. */
  default Map<String, String> metadata() {
    return Map.of();
  }

  /** The file that holds the tensor {@code name}. */
  Path fileOf(String name);

  /**
   * A tensor as it is stored, in type and shape: the caller is its first holder.
   *
   * @throws Problem when there is no such tensor or the file cannot be read
   */
  Tensor read(Arena arena, String name);

  /**
   * Fills {@code target} with the elements of a tensor that has as many, converting its type. Where
   * the types agree, the bytes go from the file straight into {@code target}; otherwise through one
   * tensor in a child of the target's arena, which is freed before this returns.
   *
   * @throws Problem when there is no such tensor, its count differs, or the file cannot be read
   */
  default void readInto(Tensor target, String name) {
    requireCount(target, name);
    try (Arena scratch = target.arena().child("read " + name)) {
      target.copyFrom(read(scratch, name).reshaped(target.shape()));
    }
  }

  /**
   * Fills a weight, as {@link #readInto(Tensor, String)}, putting convolution weights into the
   * order of memory. The stored shape is {@link Parameter#fileShape}, trailing ones aside: a 1×1
   * convolution and a linear layer are the same numbers.
   *
   * @throws Problem when there is no such tensor, its shape differs, or the file cannot be read
   */
  default void readInto(Parameter target, String name) {
    TensorInfo info = info(name);
    if (!info.fits(target)) {
      throw wrongShape(info, Arrays.toString(target.fileShape()));
    }
    if (!target.isPermuted()) {
      readInto(target.master(), name);
      return;
    }
    try (Arena scratch = target.master().arena().child("read " + name)) {
      target.read(read(scratch, name).reshaped(target.fileShape()));
    }
  }

  /**
   * What the header says of a tensor.
   *
   * @throws Problem when there is no such tensor
   */
  default TensorInfo info(String name) {
    TensorInfo info = tensors().get(name);
    if (info == null) {
      throw Problem.data(
          "%s: expected a tensor %s, found none of that name among %d"
              .formatted(path(), name, tensors().size()));
    }
    return info;
  }

  /**
   * Refuses a tensor that has another number of elements than {@code target}.
   *
   * @throws Problem that says so, or when there is no such tensor
   */
  default void requireCount(Tensor target, String name) {
    TensorInfo info = info(name);
    if (target.count() != info.count()) {
      throw wrongShape(info, target.toString());
    }
  }

  private Problem wrongShape(TensorInfo info, String expected) {
    return Problem.data(
        "%s: tensor %s: expected %s, found %s%s"
            .formatted(path(), info.name(), expected, info.dtype(), info.shape()));
  }

  /** Closes the files. */
  @Override
  void close();
}
