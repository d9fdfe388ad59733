package dreambooth4j.engine.op;

import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.util.List;
import org.bytedeco.pytorch.global.torch;

/**
 * Nearest-neighbour resize of channels-last images to a given size. x [B, H, W, C], y [B, height,
 * width, C]. Keeps nothing.
 */
public final class UpsampleNearest {
  private UpsampleNearest() {}

  /** Resizes to {@code height} × {@code width} pixels. */
  public static Var apply(Tape tape, Var x, long height, long width) {
    long[] size = {height, width};
    Tensor y =
        tape.arena()
            .compute(
                "upsample_nearest",
                () ->
                    ChannelsLast.out(torch.upsample_nearest2d(ChannelsLast.in(x.handle()), size)));
    long[] inputSize = {x.size(0), x.size(3), x.size(1), x.size(2)};
    return tape.record(
        "upsample_nearest",
        y,
        x.needsGradient(),
        List.of(),
        dy ->
            x.accumulate(
                tape.arena()
                    .compute(
                        "upsample_nearest.dx",
                        () ->
                            ChannelsLast.out(
                                torch.upsample_nearest2d_backward(
                                    ChannelsLast.in(dy.handle()), size, inputSize)))));
  }
}
