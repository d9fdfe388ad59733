package dreambooth4j.engine.op;

import org.bytedeco.pytorch.Tensor;

/** The bridge between our images [B, H, W, C] and libtorch's [B, C, H, W] over the same bytes. */
final class ChannelsLast {
  private ChannelsLast() {}

  /** [B, H, W, C] seen as [B, C, H, W] in channels-last order: a view. */
  static Tensor in(Tensor images) {
    return images.permute(0, 3, 1, 2);
  }

  /** [B, C, H, W] seen as [B, H, W, C]; copied only where libtorch left the channels-last order. */
  static Tensor out(Tensor images) {
    return images.permute(0, 2, 3, 1).contiguous();
  }
}
