package dreambooth4j.engine.op;

import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.util.List;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/** Joins two values along their last axis. a [.., m], b [.., n], y [.., m+n]. Keeps nothing. */
public final class Concat {
  private Concat() {}

  /** a's channels, then b's. */
  public static Var apply(Tape tape, Var a, Var b) {
    long m = a.size(-1);
    long n = b.size(-1);
    Tensor y =
        tape.arena()
            .compute("concat", () -> torch.cat(new TensorVector(a.handle(), b.handle()), -1));
    return tape.record(
        "concat",
        y,
        a.needsGradient() || b.needsGradient(),
        List.of(),
        dy -> {
          accumulate(tape, a, dy, 0, m);
          accumulate(tape, b, dy, m, n);
        });
  }

  private static void accumulate(Tape tape, Var to, Tensor dy, long start, long length) {
    if (to.needsGradient()) {
      to.accumulate(
          tape.arena()
              .compute("concat.part", () -> dy.handle().narrow(-1, start, length).contiguous()));
    }
  }
}
