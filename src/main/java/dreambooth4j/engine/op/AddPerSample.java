package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.kernel.AddKernels;
import dreambooth4j.engine.kernel.Launcher;
import java.util.List;

/**
 * Adds one vector to every pixel of a picture, and biases of the layers that made both. x, y [B, H,
 * W, C], vector [B, C], biases [C]. Keeps nothing.
 */
public final class AddPerSample {
  private AddPerSample() {}

  /** x[b, h, w, c] + vector[b, c]. */
  public static Var apply(Tape tape, Var x, Var vector) {
    return apply(tape, x, vector, List.of());
  }

  /** x[b, h, w, c] + vector[b, c] + what the biases have of c. */
  public static Var apply(Tape tape, Var x, Var vector, List<Parameter> biases) {
    Arena arena = tape.arena();
    return tape.record(
        "add_per_sample",
        sum(arena, x.value(), vector.value(), biases.stream().map(Parameter::weight).toList()),
        x.needsGradient()
            || vector.needsGradient()
            || biases.stream().anyMatch(Parameter::isTrainable),
        List.of(),
        dy -> {
          x.accumulate(dy.retain());
          if (vector.needsGradient()) {
            vector.accumulate(BiasGradient.accumulatePerSample(arena, biases, dy));
          } else {
            BiasGradient.accumulate(arena, biases, dy);
          }
        });
  }

  private static Tensor sum(Arena arena, Tensor x, Tensor vector, List<Tensor> biases) {
    Launcher launcher = AddKernels.onSamples(arena, x, vector, biases);
    if (launcher != null) {
      Tensor y = arena.allocate("add_per_sample", x.dtype(), x.shape());
      AddKernels.perSample(launcher, x, null, vector, biases, y);
      return y;
    }
    return arena.compute(
        "add_per_sample",
        () -> {
          var y = x.handle().add(vector.handle().view(vector.size(0), 1, 1, vector.size(1)));
          biases.forEach(each -> y.add_(each.handle()));
          return y;
        });
  }
}
