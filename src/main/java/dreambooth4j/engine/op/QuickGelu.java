package dreambooth4j.engine.op;

import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.util.List;
import org.bytedeco.pytorch.Scalar;

/** CLIP's quick GELU, x·σ(1.702 x), of each element. x, y of any shape; keeps x. */
public final class QuickGelu {
  private QuickGelu() {}

  private static final double SLOPE = 1.702;

  /** Applies it to each element. */
  public static Var apply(Tape tape, Var x) {
    Tensor y = tape.arena().compute("quick_gelu", () -> sigmoid(x).mul_(x.handle()));
    return tape.record(
        "quick_gelu",
        y,
        x.needsGradient(),
        List.of(x.value()),
        dy -> x.accumulate(dx(tape, x, dy)));
  }

  /** dy · (s + 1.702 x s (1 − s)), s = σ(1.702 x). */
  private static Tensor dx(Tape tape, Var x, Tensor dy) {
    return tape.arena()
        .compute(
            "quick_gelu.dx",
            () -> {
              org.bytedeco.pytorch.Tensor s = sigmoid(x);
              org.bytedeco.pytorch.Tensor slope =
                  s.neg().add_(new Scalar(1)).mul_(s).mul_(x.handle());
              return slope.mul_(new Scalar(SLOPE)).add_(s).mul_(dy.handle());
            });
  }

  private static org.bytedeco.pytorch.Tensor sigmoid(Var x) {
    return x.handle().mul(new Scalar(SLOPE)).sigmoid_();
  }
}
