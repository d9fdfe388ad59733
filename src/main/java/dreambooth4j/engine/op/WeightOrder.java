package dreambooth4j.engine.op;

import dreambooth4j.engine.Parameter;
import org.bytedeco.pytorch.Tensor;

/**
 * A weight as the matrix that files make of it, [O, I·kh·kw], and as it lies in memory, [O, kh, kw,
 * I]; of a linear layer both are [O, I].
 */
final class WeightOrder {
  private WeightOrder() {}

  /** The matrix of a file in the order of memory. */
  static Tensor inMemory(Tensor matrix, long... shape) {
    return shape.length == 2
        ? matrix
        : matrix.view(shape[0], shape[3], shape[1], shape[2]).permute(0, 2, 3, 1).contiguous();
  }

  /** What lies in the order of memory as the matrix of a file. */
  static Tensor inFile(Tensor weight, long... shape) {
    return shape.length == 2
        ? weight.view(shape)
        : weight.view(shape).permute(0, 3, 1, 2).reshape(shape[0], -1);
  }

  /** Passes the gradient of a product of two parameters, a matrix, on to both. */
  static void accumulateProduct(Parameter left, Parameter right, Tensor gradient) {
    left.accumulateProduct(gradient, right.weight().handle().t());
    right.accumulateProduct(left.weight().handle().t(), gradient);
  }
}
