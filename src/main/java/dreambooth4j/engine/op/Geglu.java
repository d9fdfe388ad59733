package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.kernel.GegluKernels;
import dreambooth4j.engine.kernel.Launcher;
import java.util.List;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * Gated GELU: the last axis of x holds a value and a gate, y = value · GELU(gate). x [.., 2n], y
 * [.., n]; keeps x.
 */
public final class Geglu {
  private Geglu() {}

  /** Applies it to each pair of value and gate. */
  public static Var apply(Tape tape, Var x) {
    Arena arena = tape.arena();
    Launcher device = GegluKernels.launcherFor(arena, x.value());
    return tape.record(
        "geglu",
        y(device, arena, x),
        x.needsGradient(),
        List.of(x.value()),
        dy -> x.accumulate(dx(device, arena, x, dy)));
  }

  private static Tensor y(@Nullable Launcher device, Arena arena, Var x) {
    if (device == null) {
      return arena.compute("geglu", () -> torch.gelu(gate(x)).mul_(value(x.value())));
    }
    long[] shape = x.value().shape();
    shape[shape.length - 1] /= 2;
    Tensor y = arena.allocate("geglu", x.value().dtype(), shape);
    GegluKernels.forward(device, x.value(), y);
    return y;
  }

  private static Tensor dx(@Nullable Launcher device, Arena arena, Var x, Tensor dy) {
    if (device != null) {
      Tensor dx = arena.allocate("geglu.dx", x.value().dtype(), x.value().shape());
      GegluKernels.backward(device, dy, x.value(), dx);
      return dx;
    }
    return arena.compute(
        "geglu.dx",
        () -> {
          org.bytedeco.pytorch.Tensor dx = torch.empty_like(x.handle());
          org.bytedeco.pytorch.Tensor gate = gate(x);
          long half = x.size(-1) / 2;
          torch.mul_out(dx.narrow(-1, 0, half), dy.handle(), torch.gelu(gate));
          torch.gelu_backward_out(
              dx.narrow(-1, half, half), dy.handle().mul(value(x.value())), gate);
          return dx;
        });
  }

  private static org.bytedeco.pytorch.Tensor value(Tensor x) {
    return x.handle().narrow(-1, 0, x.size(-1) / 2);
  }

  private static org.bytedeco.pytorch.Tensor gate(Var x) {
    return x.handle().narrow(-1, x.size(-1) / 2, x.size(-1) / 2);
  }
}
