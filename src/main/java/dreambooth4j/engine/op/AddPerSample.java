package dreambooth4j.engine.op;

import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.util.List;

/** Adds one vector to every pixel of a picture. x, y [B, H, W, C], vector [B, C]. Keeps nothing. */
public final class AddPerSample {
  private AddPerSample() {}

  /** x[b, h, w, c] + vector[b, c]. */
  public static Var apply(Tape tape, Var x, Var vector) {
    Tensor y =
        tape.arena()
            .compute(
                "add_per_sample",
                () -> x.at().add(vector.at().view(vector.size(0), 1, 1, vector.size(1))));
    return tape.record(
        "add_per_sample",
        y,
        x.needsGradient() || vector.needsGradient(),
        List.of(),
        dy -> {
          x.accumulate(dy.retain());
          vector.accumulate(
              tape.arena().compute("add_per_sample.dvector", () -> dy.at().sum(new long[] {1, 2})));
        });
  }
}
