package dreambooth4j.engine.op;

import dreambooth4j.engine.DType;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.util.List;

/** The same numbers in another float type, rounded to it. x, y of any shape. Keeps nothing. */
public final class Convert {
  private Convert() {}

  /** x as {@code dtype}; x itself where it is of that type. */
  public static Var apply(Tape tape, Var x, DType dtype) {
    DType before = x.value().dtype();
    if (before == dtype) {
      return x;
    }
    return tape.record(
        "convert",
        converted(tape, x.value(), dtype),
        x.needsGradient(),
        List.of(),
        dy -> x.accumulate(converted(tape, dy, before)));
  }

  private static Tensor converted(Tape tape, Tensor x, DType dtype) {
    return tape.arena().compute("convert", () -> x.handle().to(Native.scalarType(dtype)));
  }
}
