package dreambooth4j.engine.op;

import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.util.List;
import org.bytedeco.pytorch.global.torch;

/** GELU, x·Φ(x) with the exact normal distribution, of each element. x, y of any shape; keeps x. */
public final class Gelu {
  private Gelu() {}

  /** Applies it to each element. */
  public static Var apply(Tape tape, Var x) {
    Tensor y = tape.arena().compute("gelu", () -> torch.gelu(x.handle()));
    return tape.record(
        "gelu",
        y,
        x.needsGradient(),
        List.of(x.value()),
        dy ->
            x.accumulate(
                tape.arena()
                    .compute("gelu.dx", () -> torch.gelu_backward(dy.handle(), x.handle()))));
  }
}
