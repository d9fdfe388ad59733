package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.kernel.AddKernels;
import dreambooth4j.engine.kernel.Launcher;
import java.util.List;

/** Sum of two values of the same shape. Keeps nothing. */
public final class Add {
  private Add() {}

  /** a + b. */
  public static Var apply(Tape tape, Var a, Var b) {
    Tensor y = sum(tape.arena(), a.value(), b.value());
    return record(tape, a, b, y);
  }

  /** a + b, held by the caller. */
  static Tensor sum(Arena arena, Tensor a, Tensor b) {
    Launcher device = AddKernels.launcherFor(arena, a, b);
    if (device == null) {
      return arena.compute("add", () -> a.handle().add(b.handle()));
    }
    Tensor y = arena.allocate("add", a.dtype(), a.shape());
    AddKernels.add(device, a, b, y);
    return y;
  }

  /** Records that {@code y}, which the tape takes over, is a + b. */
  static Var record(Tape tape, Var a, Var b, Tensor y) {
    return tape.record(
        "add",
        y,
        a.needsGradient() || b.needsGradient(),
        List.of(),
        dy -> {
          a.accumulate(dy.retain());
          b.accumulate(dy.retain());
        });
  }
}
