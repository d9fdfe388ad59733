package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * y = x Wᵀ + b over the last axis. x [.., I], y [.., O]; weight [O, I] or that of a 1×1 convolution
 * [O, I, 1, 1], bias [O]; keeps x where the weight trains. Gradients are accumulated in place.
 */
public final class Linear {
  private Linear() {}

  /** Applies it; the bias may be missing. */
  public static Var apply(Tape tape, Var x, Parameter weight, @Nullable Parameter bias) {
    Tensor y =
        tape.arena()
            .compute(
                "linear",
                () ->
                    Products.forward(
                            Matrices.rows(x.value()),
                            Matrices.matrix(weight.weight()),
                            bias == null ? null : bias.weight().handle())
                        .view(shape(x.value(), weight)));
    return tape.record(
        "linear",
        y,
        x.needsGradient() || weight.isTrainable(),
        weight.isTrainable() ? List.of(x.value()) : List.of(),
        dy -> backward(tape.arena(), x, weight, bias, dy));
  }

  private static void backward(
      Arena arena, Var x, Parameter weight, @Nullable Parameter bias, Tensor dy) {
    TwoGradients.run(
        arena,
        x.needsGradient(),
        () -> backward(arena, x, weight.weight(), dy),
        weight.isTrainable(),
        () -> {
          Native.run(
              "linear.dw",
              () -> weight.accumulateProduct(Matrices.rows(dy).t(), Matrices.rows(x.value())));
          BiasGradient.accumulate(arena, bias, dy);
        });
  }

  private static void backward(Arena arena, Var x, Tensor weight, Tensor dy) {
    if (Products.isOneDnn(dy, weight)) {
      x.accumulate(
          arena.compute(
              "linear.dx",
              () ->
                  Products.backward(Matrices.rows(dy), Matrices.matrix(weight))
                      .view(x.value().shape())));
    } else { // which can add to what is there
      x.accumulateProduct("linear.dx", () -> Matrices.rows(dy), () -> Matrices.matrix(weight));
    }
  }

  /** Of y. */
  private static long[] shape(Tensor x, Parameter weight) {
    long[] shape = x.shape();
    shape[shape.length - 1] = weight.shape()[0];
    return shape;
  }
}
