package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Tensor;
import dreambooth4j.random.CounterRandom;
import java.util.Arrays;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.StringViewOptional;
import org.bytedeco.pytorch.T_TensorTensorTensor_T;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

/**
 * The change of a weight that an adapter's factors stand for, computed whole: to put it into the
 * weight. Factors of any type; all results are F32, in the given arena, held by the caller. Nothing
 * here has a backward.
 */
public final class LowRank {
  /** Directions that are looked at beyond the rank: the last of them are the least certain. */
  private static final int MORE_DIRECTIONS = 16;

  /** How often the matrix is applied to them: differences of models fall off slowly. */
  private static final int POWERS = 4;

  /** Up to here a matrix is decomposed whole in no time. */
  private static final int WHOLE_SIDE = 256;

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

  /** One tensor less another of its shape. */
  public static Tensor difference(Arena arena, Tensor left, Tensor right) {
    return arena.compute("difference", () -> floats(left).sub(floats(right)));
  }

  /** The sum of the squares of an F32 tensor's elements. */
  public static double squares(Tensor tensor) {
    return Native.call(
        "squares",
        () ->
            tensor.handle().square().sum(new ScalarTypeOptional(ScalarType.Double)).item_double());
  }

  /**
   * Two factors whose product is the closest of its rank to a change, [m, r] and [r, n], each with
   * the roots of the singular values: then both are of one size, which 16 bits hold best. A matrix
   * much larger than the rank is looked at by random directions (Halko, Martinsson, Tropp 2011).
   *
   * @param change seen as a matrix
   * @param rank no more than the smaller side
   */
  public static Tensor[] factors(Arena arena, Tensor change, int rank) {
    return arena.computeAll(
        "singular vectors",
        () -> {
          org.bytedeco.pytorch.Tensor matrix = rows(change);
          long side = Math.min(matrix.size(0), matrix.size(1));
          long looked = (long) rank + MORE_DIRECTIONS;
          boolean whole = side <= WHOLE_SIDE || side <= 2 * looked;
          org.bytedeco.pytorch.Tensor range = whole ? null : range(matrix, looked);
          T_TensorTensorTensor_T parts =
              torch.linalg_svd(
                  range == null ? matrix : range.t().matmul(matrix),
                  false,
                  new StringViewOptional());
          org.bytedeco.pytorch.Tensor roots = parts.get1().narrow(0, 0, rank).sqrt();
          org.bytedeco.pytorch.Tensor left = parts.get0().narrow(1, 0, rank);
          org.bytedeco.pytorch.Tensor up = (range == null ? left : range.matmul(left)).mul(roots);
          org.bytedeco.pytorch.Tensor down =
              parts.get2().narrow(0, 0, rank).mul(roots.unsqueeze(1));
          return new org.bytedeco.pytorch.Tensor[] {up.contiguous(), down.contiguous()};
        });
  }

  /** An orthonormal basis of what a matrix makes of most directions, [m, directions]. */
  private static org.bytedeco.pytorch.Tensor range(
      org.bytedeco.pytorch.Tensor matrix, long directions) {
    int columns = Math.toIntExact(matrix.size(1));
    float[] drawn = new float[Math.toIntExact((long) columns * directions)];
    CounterRandom.at(0, "directions", 0, 0).normal(drawn, 0, drawn.length);
    org.bytedeco.pytorch.Tensor basis =
        matrix.matmul(
            org.bytedeco.pytorch.Tensor.create(drawn, columns, directions)
                .to(matrix.device(), ScalarType.Float));
    basis = torch.linalg_qr(basis).get0();
    for (int i = 0; i < POWERS; i++) {
      org.bytedeco.pytorch.Tensor back = torch.linalg_qr(matrix.t().matmul(basis)).get0();
      basis = torch.linalg_qr(matrix.matmul(back)).get0();
    }
    return basis;
  }

  private static org.bytedeco.pytorch.Tensor rows(Tensor tensor) {
    return floats(tensor).reshape(tensor.size(0), -1);
  }

  private static org.bytedeco.pytorch.Tensor floats(Tensor tensor) {
    return tensor.handle().to(ScalarType.Float);
  }
}
