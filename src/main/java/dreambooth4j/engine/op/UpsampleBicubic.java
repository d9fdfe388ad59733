package dreambooth4j.engine.op;

import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.util.List;
import org.bytedeco.pytorch.global.torch;

/**
 * Bicubic resize of channels-last images to a given size (a = −0.75, corners not aligned), larger
 * or smaller, without smoothing. x [B, H, W, C], y [B, height, width, C]. Keeps nothing.
 */
public final class UpsampleBicubic {
  private UpsampleBicubic() {}

  /** Resizes to {@code height} × {@code width} pixels. */
  public static Var apply(Tape tape, Var x, long height, long width) {
    long[] size = {height, width};
    Tensor y =
        tape.arena()
            .compute(
                "upsample_bicubic",
                () ->
                    ChannelsLast.out(
                        torch.upsample_bicubic2d(ChannelsLast.in(x.handle()), size, false)));
    long[] inputSize = {x.size(0), x.size(3), x.size(1), x.size(2)};
    return tape.record(
        "upsample_bicubic",
        y,
        x.needsGradient(),
        List.of(),
        dy ->
            x.accumulate(
                tape.arena()
                    .compute(
                        "upsample_bicubic.dx",
                        () ->
                            ChannelsLast.out(
                                torch.upsample_bicubic2d_backward(
                                    ChannelsLast.in(dy.handle()), size, inputSize, false)))));
  }
}
