package dreambooth4j.engine.op;

import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Var;
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
    long[] inputSize = {x.size(0), x.size(3), x.size(1), x.size(2)};
    return ChannelsLast.record(
        tape,
        "upsample_bicubic",
        x,
        images -> torch.upsample_bicubic2d(images, size, false),
        dy -> torch.upsample_bicubic2d_backward(dy, size, inputSize, false));
  }
}
