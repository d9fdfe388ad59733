package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.kernel.AddKernels;
import dreambooth4j.engine.kernel.Launcher;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Adds one vector to every pixel of a picture. x, y [B, H, W, C], vector [B, C]. Keeps nothing. */
public final class AddPerSample {
  private AddPerSample() {}

  /** x[b, h, w, c] + vector[b, c]. */
  public static Var apply(Tape tape, Var x, Var vector) {
    Arena arena = tape.arena();
    Launcher device = AddKernels.onSamples(arena, x.value(), vector.value());
    return tape.record(
        "add_per_sample",
        sum(device, arena, x, vector),
        x.needsGradient() || vector.needsGradient(),
        List.of(),
        dy -> {
          x.accumulate(dy.retain());
          vector.accumulate(dVector(device, arena, dy));
        });
  }

  private static Tensor sum(@Nullable Launcher device, Arena arena, Var x, Var vector) {
    if (device == null) {
      return arena.compute(
          "add_per_sample",
          () -> x.handle().add(vector.handle().view(vector.size(0), 1, 1, vector.size(1))));
    }
    Tensor y = arena.allocate("add_per_sample", x.value().dtype(), x.value().shape());
    AddKernels.perSample(device, x.value(), vector.value(), y);
    return y;
  }

  private static Tensor dVector(@Nullable Launcher device, Arena arena, Tensor dy) {
    if (device == null) {
      return arena.compute("add_per_sample.dvector", () -> dy.handle().sum(new long[] {1, 2}));
    }
    Tensor dvector = arena.allocate("add_per_sample.dvector", dy.dtype(), dy.size(0), dy.size(-1));
    Tensor work = arena.allocate("work", DType.F32, AddKernels.workElements(dy));
    AddKernels.vectorGradient(device, dy, work, dvector);
    work.release();
    return dvector;
  }
}
