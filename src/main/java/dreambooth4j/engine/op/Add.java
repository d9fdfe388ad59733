package dreambooth4j.engine.op;

import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.util.List;

/** Sum of two values of the same shape. Keeps nothing. */
public final class Add {
  private Add() {}

  /** a + b. */
  public static Var apply(Tape tape, Var a, Var b) {
    Tensor y = tape.arena().compute("add", () -> a.at().add(b.at()));
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
