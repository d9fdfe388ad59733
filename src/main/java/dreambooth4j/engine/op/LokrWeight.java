package dreambooth4j.engine.op;

import dreambooth4j.engine.Native;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.util.List;

/**
 * LoKr's change of a weight: the Kronecker product of a matrix and a small weight, which is whole
 * or the product of two matrices. Keeps nothing: backward multiplies again.
 *
 * <table>
 * <caption>Tensors</caption>
 * <tr><th>tensor</th><th>shape</th></tr>
 * <tr><td>the matrix</td><td>[p, q]</td></tr>
 * <tr><td>the small weight</td><td>whole: [s, t] or, of a convolution, [s, t, kh, kw]; as a
 * product: [s, r] and [r, t·kh·kw], in the order of files</td></tr>
 * <tr><td>the change</td><td>[p·s, q·t] or [p·s, kh, kw, q·t], step arena</td></tr>
 * </table>
 */
public final class LokrWeight {
  private final Parameter matrix;
  private final List<Parameter> small;
  private final long[] shape;

  private LokrWeight(Parameter matrix, List<Parameter> small, long... shape) {
    this.matrix = matrix;
    this.small = small;
    this.shape = shape;
  }

  /**
   * Applies it.
   *
   * @param small one parameter, or two whose product it is; they train if the matrix does
   * @param shape of the weight in memory
   */
  public static Var apply(Tape tape, Parameter matrix, List<Parameter> small, long... shape) {
    LokrWeight op = new LokrWeight(matrix, small, shape);
    Tensor change =
        tape.arena().compute("lokr", () -> op.left().mul(op.right()).view(shape).contiguous());
    return tape.record("lokr", change, matrix.isTrainable(), List.of(), op::backward);
  }

  private long rows() {
    return shape[0] / matrix.shape()[0];
  }

  private long columns() {
    return shape[shape.length - 1] / matrix.shape()[1];
  }

  private long area() {
    return shape.length == 2 ? 1 : shape[1] * shape[2];
  }

  /** The matrix where the change is [p, s, kh·kw, q, t]. */
  private org.bytedeco.pytorch.Tensor left() {
    long[] sizes = matrix.shape();
    return matrix.weight().handle().view(sizes[0], 1, 1, sizes[1], 1);
  }

  /** The small weight where the change is [p, s, kh·kw, q, t]. */
  private org.bytedeco.pytorch.Tensor right() {
    org.bytedeco.pytorch.Tensor whole = small.get(0).weight().handle();
    if (small.size() == 2) {
      whole = WeightOrder.inMemory(whole.mm(small.get(1).weight().handle()), smallShape());
    }
    return whole.view(1, rows(), area(), 1, columns());
  }

  private long[] smallShape() {
    return shape.length == 2
        ? new long[] {rows(), columns()}
        : new long[] {rows(), shape[1], shape[2], columns()};
  }

  private void backward(Tensor d) {
    Native.run(
        "lokr.backward",
        () -> {
          long[] sizes = matrix.shape();
          var all = d.handle().view(sizes[0], rows(), area(), sizes[1], columns());
          matrix.accumulate(all.mul(right()).sum(1, 2, 4));
          var gradient = all.mul(left()).sum(0, 3);
          if (small.size() == 1) {
            small.get(0).accumulate(gradient.view(small.get(0).shape()));
          } else {
            WeightOrder.accumulateProduct(
                small.get(0), small.get(1), WeightOrder.inFile(gradient, smallShape()));
          }
        });
  }
}
