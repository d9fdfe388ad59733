package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import java.util.Arrays;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

/**
 * The change of a weight that an adapter's factors stand for, computed whole: to put it into the
 * weight. Factors of any type; all results are F32, in the given arena, held by the caller. Nothing
 * here has a backward.
 */
public final class LowRank {
  private LowRank() {}

  /** The product of [m, r, ..] and [r, ..], seen as matrices, in a shape of as many elements. */
  public static Tensor product(Arena arena, Tensor left, Tensor right, long... shape) {
    return arena.compute("product", () -> rows(left).matmul(rows(right)).view(shape));
  }

  /**
   * The product of [m, r], a core [r, s, h, w] and [s, n], seen as matrices where they have more
   * axes: [m, n, h, w].
   */
  public static Tensor product(Arena arena, Tensor left, Tensor core, Tensor right) {
    return arena.compute(
        "product",
        () -> {
          long s = core.size(1);
          long h = core.size(2);
          long w = core.size(3);
          org.bytedeco.pytorch.Tensor inner =
              rows(left).matmul(rows(core)).view(-1, s, h * w).transpose(1, 2);
          org.bytedeco.pytorch.Tensor all = inner.matmul(rows(right)).transpose(1, 2);
          return all.contiguous().view(left.size(0), right.size(1), h, w);
        });
  }

  /** A matrix with its axes exchanged. */
  public static Tensor transposed(Arena arena, Tensor matrix) {
    return arena.compute("transpose", () -> rows(matrix).t().contiguous());
  }

  /** Two tensors of one shape, multiplied element by element. */
  public static Tensor hadamard(Arena arena, Tensor left, Tensor right) {
    return arena.compute("hadamard", () -> floats(left).mul(floats(right)));
  }

  /** The Kronecker product of [a, b] and [c, d] or [c, d, h, w], in a shape of as many elements. */
  public static Tensor kronecker(Arena arena, Tensor left, Tensor right, long... shape) {
    return arena.compute(
        "kronecker",
        () -> {
          org.bytedeco.pytorch.Tensor first = floats(left);
          for (int i = left.rank(); i < right.rank(); i++) {
            first = first.unsqueeze(-1);
          }
          return torch.kron(first.contiguous(), floats(right)).contiguous().view(shape);
        });
  }

  /**
   * A weight and so many times a change of it.
   *
   * @param magnitude null, or what the norms become of the slices along one axis of the sum: an
   *     element for each
   * @param axis 0 or 1
   */
  public static Tensor changed(
      Arena arena,
      Tensor weight,
      Tensor change,
      double scale,
      @Nullable Tensor magnitude,
      int axis) {
    return arena.compute(
        "changed weight",
        () -> {
          org.bytedeco.pytorch.Tensor sum =
              floats(weight).add(change.handle().view(weight.shape()), new Scalar(scale));
          if (magnitude == null) {
            return sum;
          }
          long[] beside = new long[weight.rank()];
          Arrays.fill(beside, 1);
          beside[axis] = weight.size(axis);
          org.bytedeco.pytorch.Tensor norms =
              sum.transpose(0, axis)
                  .reshape(weight.size(axis), -1)
                  .norm(new ScalarOptional(new Scalar(2)), 1);
          return sum.mul(floats(magnitude).view(-1).div(norms).view(beside));
        });
  }

  private static org.bytedeco.pytorch.Tensor rows(Tensor tensor) {
    return floats(tensor).reshape(tensor.size(0), -1);
  }

  private static org.bytedeco.pytorch.Tensor floats(Tensor tensor) {
    return tensor.handle().to(ScalarType.Float);
  }
}
