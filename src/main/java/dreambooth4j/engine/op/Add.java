package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.kernel.AddKernels;
import dreambooth4j.engine.kernel.Kernels;
import dreambooth4j.engine.kernel.Launcher;
import java.util.List;

/**
 * Sum of two values of the same shape, and of biases of the layers that made them. Keeps nothing.
 */
public final class Add {
  private Add() {}

  /** a + b. */
  public static Var apply(Tape tape, Var a, Var b) {
    Tensor y = sum(tape.arena(), a.value(), b.value());
    return record(tape, a, b, y);
  }

  /**
   * Whether sums in this arena are where biases are best added: then the layers before them need
   * not pass over their results once more, and biases of both layers have their gradients from one
   * pass.
   */
  public static boolean takesBiases(Arena arena) {
    return Kernels.of(arena) != null;
  }

  /** a + b + biases; a and b [B, H, W, C], biases [C]. */
  public static Var apply(Tape tape, Var a, Var b, List<Parameter> biases) {
    if (biases.isEmpty()) {
      return apply(tape, a, b);
    }
    Arena arena = tape.arena();
    return tape.record(
        "add",
        sum(arena, a.value(), b.value(), biases.stream().map(Parameter::weight).toList()),
        a.needsGradient() || b.needsGradient() || biases.stream().anyMatch(Parameter::isTrainable),
        List.of(),
        dy -> {
          a.accumulate(dy.retain());
          b.accumulate(dy.retain());
          BiasGradient.accumulate(arena, biases, dy);
        });
  }

  private static Tensor sum(Arena arena, Tensor a, Tensor b, List<Tensor> biases) {
    Launcher device = AddKernels.onSamples(arena, a, b, biases);
    if (device != null) {
      Tensor y = arena.allocate("add", a.dtype(), a.shape());
      AddKernels.perSample(device, a, b, null, biases, y);
      return y;
    }
    return arena.compute(
        "add",
        () -> {
          var y = a.handle().add(b.handle());
          biases.forEach(each -> y.add_(each.handle()));
          return y;
        });
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
