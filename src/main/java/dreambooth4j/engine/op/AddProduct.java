package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.util.List;
import org.bytedeco.javacpp.BoolPointer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

/**
 * y = z + s · (the product of x with a weight that was itself computed), in the memory of z: what
 * an adapter whose change of the weight is made whole adds to a layer. Keeps x and the weight.
 *
 * <table>
 * <caption>Shapes</caption>
 * <tr><th></th><th>linear</th><th>convolution</th></tr>
 * <tr><td>x</td><td>[.., I]</td><td>[B, H, W, I]</td></tr>
 * <tr><td>weight</td><td>[O, I] or [O, 1, 1, I]</td><td>[O, kh, kw, I]</td></tr>
 * <tr><td>z, y</td><td>[.., O]</td><td>[B, H', W', O]</td></tr>
 * </table>
 *
 * @param stride of a convolution, on both axes
 * @param padding of a convolution with zeros, on both axes
 * @param scale s
 */
public record AddProduct(int stride, int padding, double scale) {
  private static final long[] ONE = {1, 1};
  private static final long[] ZERO = {0, 0};

  /**
   * Applies it.
   *
   * @param z fresh from an op that keeps nothing of it; nobody reads it afterwards
   * @param x of the type of the weight, which may be a wider one than that of z
   */
  public Var apply(Tape tape, Var z, Var x, Var weight) {
    Native.run(
        "add_product",
        () ->
            z.handle()
                .add_(
                    product(tape.arena(), z, x, weight).view(z.value().shape()),
                    new Scalar(scale)));
    return tape.record(
        "add_product",
        z.value().retain(),
        z.needsGradient() || x.needsGradient() || weight.needsGradient(),
        List.of(x.value(), weight.value()),
        dy -> {
          z.accumulate(dy.retain());
          if (isMatrix(weight)) {
            matrixBackward(tape, x, weight, dy);
          } else {
            convolutionBackward(tape, x, weight, dy);
          }
        });
  }

  private static boolean isMatrix(Var weight) {
    long[] shape = weight.value().shape();
    return shape.length == 2 || shape[1] * shape[2] == 1;
  }

  private org.bytedeco.pytorch.Tensor product(Arena arena, Var z, Var x, Var weight) {
    if (isMatrix(weight)) {
      return Matrices.rows(x.value()).mm(Matrices.matrix(weight.value()).t());
    }
    if (arena.isDry()) {
      return Dry.of(x.handle(), z.value().shape());
    }
    return ChannelsLast.out(
        torch.convolution(
            ChannelsLast.in(x.handle()),
            ChannelsLast.in(weight.handle()),
            new TensorOptional(),
            both(stride),
            both(padding),
            ONE,
            false,
            ZERO,
            1));
  }

  private static long[] both(long size) {
    return new long[] {size, size};
  }

  private void matrixBackward(Tape tape, Var x, Var weight, Tensor dy) {
    Arena arena = tape.arena();
    Tensor scaled = scaled(arena, dy);
    x.accumulateProduct(
        "add_product.dx", () -> Matrices.rows(scaled), () -> Matrices.matrix(weight.value()));
    weight.accumulateProduct(
        "add_product.dw", () -> Matrices.rows(scaled).t(), () -> Matrices.rows(x.value()));
    scaled.release();
  }

  private Tensor scaled(Arena arena, Tensor dy) {
    return arena.compute("add_product.dy", () -> dy.handle().mul(new Scalar(scale)));
  }

  private void convolutionBackward(Tape tape, Var x, Var weight, Tensor dy) {
    Arena arena = tape.arena();
    if (arena.isDry()) {
      Dry.backward(arena, x);
      Dry.backward(arena, weight);
      return;
    }
    Tensor scaled = scaled(arena, dy);
    Native.run(
        "add_product.backward",
        () -> {
          BoolPointer mask = new BoolPointer(3);
          mask.put(0, x.needsGradient()).put(1, weight.needsGradient()).put(2, false);
          var all =
              torch.convolution_backward(
                  ChannelsLast.in(scaled.handle()),
                  ChannelsLast.in(x.handle()),
                  ChannelsLast.in(weight.handle()),
                  ZERO,
                  both(stride),
                  both(padding),
                  ONE,
                  false,
                  ZERO,
                  1,
                  mask);
          if (x.needsGradient()) {
            x.accumulate(arena.compute("add_product.dx", () -> ChannelsLast.out(all.get0())));
          }
          if (weight.needsGradient()) {
            weight.accumulate(arena.compute("add_product.dw", () -> ChannelsLast.out(all.get1())));
          }
        });
    scaled.release();
  }
}
