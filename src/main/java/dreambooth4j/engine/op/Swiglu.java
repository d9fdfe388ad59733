package dreambooth4j.engine.op;

import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.util.List;
import org.bytedeco.pytorch.global.torch;

/**
 * Gated SiLU: the last axis of x holds a gate and a value, y = SiLU(gate) · value. x [.., 2n], y
 * [.., n]; keeps x.
 */
public final class Swiglu {
  private Swiglu() {}

  /** Applies it to each pair of gate and value. */
  public static Var apply(Tape tape, Var x) {
    Tensor y =
        tape.arena()
            .compute("swiglu", () -> torch.silu(half(x.handle(), 0)).mul_(half(x.handle(), 1)));
    return tape.record(
        "swiglu",
        y,
        x.needsGradient(),
        List.of(x.value()),
        dy -> x.accumulate(tape.arena().compute("swiglu.dx", () -> dx(x.handle(), dy.handle()))));
  }

  private static org.bytedeco.pytorch.Tensor dx(
      org.bytedeco.pytorch.Tensor x, org.bytedeco.pytorch.Tensor dy) {
    var dx = torch.empty_like(x);
    var gate = half(x, 0);
    half(dx, 0).copy_(torch.silu_backward(dy.mul(half(x, 1)), gate));
    torch.mul_out(half(dx, 1), dy, torch.silu(gate));
    return dx;
  }

  /** The gates, half 0, or the values, half 1. */
  private static org.bytedeco.pytorch.Tensor half(org.bytedeco.pytorch.Tensor of, int which) {
    long width = of.size(-1) / 2;
    return of.narrow(-1, which * width, width);
  }
}
