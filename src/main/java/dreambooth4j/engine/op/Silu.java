package dreambooth4j.engine.op;

import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.util.List;
import org.bytedeco.pytorch.global.torch;

/** SiLU, x·σ(x), of each element. x, y of any shape; keeps x. */
public final class Silu {
  private Silu() {}

  /** Applies it to each element. */
  public static Var apply(Tape tape, Var x) {
    Tensor y = tape.arena().compute("silu", () -> torch.silu(x.handle()));
    return tape.record(
        "silu",
        y,
        x.needsGradient(),
        List.of(x.value()),
        dy ->
            x.accumulate(
                tape.arena()
                    .compute("silu.dx", () -> torch.silu_backward(dy.handle(), x.handle()))));
  }
}
