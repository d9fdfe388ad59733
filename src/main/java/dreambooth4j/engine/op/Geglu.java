package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.kernel.GegluKernels;
import dreambooth4j.engine.kernel.Launcher;
import java.util.List;
import org.bytedeco.pytorch.global.torch;

/**
 * Gated GELU: the last axis of x holds a value and a gate, y = value · GELU(gate). x [.., 2n], y
 * [.., n]; keeps x.
 */
public final class Geglu {
  private Geglu() {}

  /** Applies it to each pair of value and gate. */
  public static Var apply(Tape tape, Var x) {
    Arena arena = tape.arena();
    Launcher launcher = GegluKernels.launcherFor(arena, x.value());
    Form form = launcher == null ? new Plain(arena) : new Launched(arena, launcher);
    return tape.record(
        "geglu",
        form.y(x.value()),
        x.needsGradient(),
        List.of(x.value()),
        dy -> x.accumulate(form.dx(x.value(), dy)));
  }

  /** How it is computed; chosen in forward, for both directions. */
  private interface Form {
    Tensor y(Tensor x);

    Tensor dx(Tensor x, Tensor dy);
  }

  private record Launched(Arena arena, Launcher launcher) implements Form {
    @Override
    public Tensor y(Tensor x) {
      long[] shape = x.shape();
      shape[shape.length - 1] /= 2;
      Tensor y = arena.allocate("geglu", x.dtype(), shape);
      GegluKernels.forward(launcher, x, y);
      return y;
    }

    @Override
    public Tensor dx(Tensor x, Tensor dy) {
      Tensor dx = arena.allocate("geglu.dx", x.dtype(), x.shape());
      GegluKernels.backward(launcher, dy, x, dx);
      return dx;
    }
  }

  private record Plain(Arena arena) implements Form {
    @Override
    public Tensor y(Tensor x) {
      return arena.compute(
          "geglu", () -> torch.gelu(half(x.handle(), 1)).mul_(half(x.handle(), 0)));
    }

    @Override
    public Tensor dx(Tensor x, Tensor dy) {
      return arena.compute(
          "geglu.dx",
          () -> {
            var dx = torch.empty_like(x.handle());
            var gate = half(x.handle(), 1);
            torch.mul_out(half(dx, 0), dy.handle(), torch.gelu(gate));
            torch.gelu_backward_out(half(dx, 1), dy.handle().mul(half(x.handle(), 0)), gate);
            return dx;
          });
    }

    /** The values, half 0, or the gates, half 1. */
    private static org.bytedeco.pytorch.Tensor half(org.bytedeco.pytorch.Tensor of, int which) {
      long width = of.size(-1) / 2;
      return of.narrow(-1, which * width, width);
    }
  }
}
