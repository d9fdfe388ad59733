package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.kernel.AddKernels;
import dreambooth4j.engine.kernel.ColumnSums;
import dreambooth4j.engine.kernel.Launcher;
import java.util.List;

/** Adds one vector to every pixel of a picture. x, y [B, H, W, C], vector [B, C]. Keeps nothing. */
public final class AddPerSample {
  private AddPerSample() {}

  /** x[b, h, w, c] + vector[b, c]. */
  public static Var apply(Tape tape, Var x, Var vector) {
    Arena arena = tape.arena();
    Launcher launcher = AddKernels.onSamples(arena, x.value(), vector.value());
    Form form = launcher == null ? new Plain(arena) : new Launched(arena, launcher);
    return tape.record(
        "add_per_sample",
        form.sum(x.value(), vector.value()),
        x.needsGradient() || vector.needsGradient(),
        List.of(),
        dy -> {
          x.accumulate(dy.retain());
          if (vector.needsGradient()) {
            vector.accumulate(form.dVector(dy));
          }
        });
  }

  /** How it is computed; chosen in forward, for both directions. */
  private interface Form {
    Tensor sum(Tensor x, Tensor vector);

    /** Sums of dy over the pixels, [B, C]. */
    Tensor dVector(Tensor dy);
  }

  private record Launched(Arena arena, Launcher launcher) implements Form {
    @Override
    public Tensor sum(Tensor x, Tensor vector) {
      Tensor y = arena.allocate("add_per_sample", x.dtype(), x.shape());
      AddKernels.perSample(launcher, x, vector, y);
      return y;
    }

    @Override
    public Tensor dVector(Tensor dy) {
      ColumnSums sums = ColumnSums.in(arena, dy, dy.size(0), dy);
      if (sums == null) {
        return new Plain(arena).dVector(dy);
      }
      Tensor dvector =
          arena.allocate("add_per_sample.dvector", dy.dtype(), dy.size(0), dy.size(-1));
      sums.sum(arena, dy, dy.size(0), dvector, false);
      return dvector;
    }
  }

  private record Plain(Arena arena) implements Form {
    @Override
    public Tensor sum(Tensor x, Tensor vector) {
      return arena.compute(
          "add_per_sample",
          () -> x.handle().add(vector.handle().view(vector.size(0), 1, 1, vector.size(1))));
    }

    @Override
    public Tensor dVector(Tensor dy) {
      return arena.compute("add_per_sample.dvector", () -> dy.handle().sum(new long[] {1, 2}));
    }
  }
}
