package dreambooth4j.engine.op;

import dreambooth4j.engine.DType;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.util.List;

/**
 * Picks along the second axis. x [B, N, ..], places I64 [M], y [B, M, ..]; keeps places. What is
 * picked twice gathers both gradients, what is not picked gets none.
 */
public final class IndexSelect {
  private IndexSelect() {}

  /** x[:, places]; {@code places} are all within N. */
  public static Var apply(Tape tape, Var x, Tensor places) {
    long[] shape = x.value().shape();
    long[] picked = shape.clone();
    picked[1] = places.size(0);
    Tensor y =
        tape.arena()
            .compute(
                "index_select",
                () ->
                    tape.arena().isDry()
                        ? Dry.of(x.handle(), picked)
                        : x.handle().index_select(1, places.handle()));
    DType dtype = x.value().dtype();
    return tape.record(
        "index_select",
        y,
        x.needsGradient(),
        List.of(places),
        dy -> {
          Tensor dx = tape.arena().zeros("index_select.dx", dtype, shape);
          Native.run(
              "index_select.backward",
              () -> dx.handle().index_add_(1, places.handle(), dy.handle()));
          x.accumulate(dx);
        });
  }
}
