package dreambooth4j.engine.op;

import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.util.List;
import org.bytedeco.pytorch.global.torch;

/**
 * Zeros below and to the right of channels-last images, as the VAE's downsampling wants. x [B, H,
 * W, C], y [B, H+1, W+1, C]. Keeps nothing.
 */
public final class PadEnd {
  private PadEnd() {}

  /** One row and one column of zeros at the end. */
  public static Var apply(Tape tape, Var x) {
    Tensor y =
        tape.arena()
            .compute(
                "pad_end", () -> torch.constant_pad_nd(x.handle(), new long[] {0, 0, 0, 1, 0, 1}));
    return tape.record(
        "pad_end",
        y,
        x.needsGradient(),
        List.of(),
        dy ->
            x.accumulate(
                tape.arena()
                    .compute(
                        "pad_end.dx",
                        () ->
                            dy.handle()
                                .narrow(1, 0, x.size(1))
                                .narrow(2, 0, x.size(2))
                                .contiguous())));
  }
}
