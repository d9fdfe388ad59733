package dreambooth4j.engine.op;

import dreambooth4j.engine.Native;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.util.List;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * y = x Wᵀ + b over the last axis. x [.., I], y [.., O]; weight [O, I] or that of a 1×1 convolution
 * [O, I, 1, 1], bias [O]; keeps x. The weight gradient is accumulated straight into its slice.
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
                    torch.linear(
                        x.handle(),
                        matrix(weight.weight()),
                        bias == null
                            ? new TensorOptional()
                            : new TensorOptional(bias.weight().handle())));
    return tape.record(
        "linear",
        y,
        x.needsGradient() || weight.isTrainable(),
        List.of(x.value()),
        dy -> backward(tape, x, weight, bias, dy));
  }

  private static void backward(
      Tape tape, Var x, Parameter weight, @Nullable Parameter bias, Tensor dy) {
    if (x.needsGradient()) {
      x.accumulate(
          tape.arena().compute("linear.dx", () -> dy.handle().matmul(matrix(weight.weight()))));
    }
    if (weight.isTrainable()) {
      Native.run(
          "linear.dw",
          () -> {
            org.bytedeco.pytorch.Tensor dyRows = dy.handle().view(-1, dy.size(-1));
            weight.accumulateProduct(dyRows.t(), x.handle().view(-1, x.size(-1)));
            if (bias != null) {
              bias.accumulate(dyRows.sum(0));
            }
          });
    }
  }

  private static org.bytedeco.pytorch.Tensor matrix(Tensor weight) {
    return weight.handle().view(weight.size(0), weight.size(-1));
  }
}
