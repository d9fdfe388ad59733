package dreambooth4j.engine.op;

import dreambooth4j.engine.Native;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.util.List;
import org.bytedeco.pytorch.Scalar;

/**
 * y = z + s x Wᵀ over the last axis, in the memory of z: what an adapter adds to a layer. x [..,
 * I], z, y [.., O] with the same outer axes; weight [O, I] or that of a 1×1 convolution [O, I, 1,
 * 1]. Keeps x.
 */
public final class AddLinear {
  private AddLinear() {}

  /**
   * Applies it.
   *
   * @param z fresh from an op that keeps nothing of it; nobody reads it afterwards
   * @param x of the type of the weight, which may be a wider one than that of z
   */
  public static Var apply(Tape tape, Var z, Var x, Parameter weight, double scale) {
    boolean wider = z.value().dtype() != x.value().dtype();
    Native.run(
        "add_linear",
        () -> {
          var sum = Matrices.rows(z.value());
          var transposed = Matrices.matrix(weight.weight()).t();
          if (wider) {
            sum.add_(Matrices.rows(x.value()).mm(transposed), new Scalar(scale));
          } else {
            sum.addmm_(Matrices.rows(x.value()), transposed, new Scalar(1), new Scalar(scale));
          }
        });
    return tape.record(
        "add_linear",
        z.value().retain(),
        z.needsGradient() || x.needsGradient() || weight.isTrainable(),
        List.of(x.value()),
        dy -> backward(tape, z, x, weight, scale, dy));
  }

  private static void backward(Tape tape, Var z, Var x, Parameter weight, double scale, Tensor dy) {
    z.accumulate(dy.retain());
    if (x.needsGradient()) {
      x.accumulate(
          tape.arena()
              .compute(
                  "add_linear.dx",
                  () ->
                      Matrices.rows(dy)
                          .mm(Matrices.matrix(weight.weight()))
                          .mul_(new Scalar(scale))
                          .view(x.value().shape())));
    }
    if (weight.isTrainable()) {
      Native.run(
          "add_linear.dw",
          () ->
              weight.accumulateProduct(
                  Matrices.rows(dy).t(), Matrices.rows(x.value()).mul(new Scalar(scale))));
    }
  }
}
