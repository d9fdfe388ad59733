package dreambooth4j.engine.op;

import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Var;
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
    long[] inputSize = {x.size(0), x.size(3), x.size(1), x.size(2)};
    return ChannelsLast.record(
        tape,
        "upsample_nearest",
        x,
        images -> torch.upsample_nearest2d(images, size),
        dy -> torch.upsample_nearest2d_backward(dy, size, inputSize));
  }
}
