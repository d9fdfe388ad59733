package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Var;
import java.util.List;
import java.util.function.UnaryOperator;
import org.bytedeco.pytorch.Tensor;

/** The bridge between our images [B, H, W, C] and libtorch's [B, C, H, W]. */
public final class ChannelsLast {
  /**
   * Below so many pixels libtorch's group norm goes through channels-last images pixel by pixel.
   */
  private static final long PIXELS = 1024;

  /** Channels that fill a vector of 256 bits. */
  private static final long VECTOR = 8;

  private ChannelsLast() {}

  /** [B, H, W, C] seen as [B, C, H, W] in channels-last order: a view. */
  static Tensor in(Tensor images) {
    return images.permute(0, 3, 1, 2);
  }

  /**
   * As {@link #in}, for libtorch's group norm: copied to [B, C, H, W] where that is sooner done. On
   * the CPU it takes some 40 ns for each pixel and group where the group's channels fill no vector,
   * as long as copying twenty numbers forth and back.
   */
  static Tensor inGroups(Tensor images, int groups) {
    long width = images.size(3) / groups;
    boolean slow =
        images.is_cpu()
            && images.size(1) * images.size(2) < PIXELS
            && width % VECTOR != 0
            && width < 2 * VECTOR;
    return slow ? in(images).contiguous() : in(images);
  }

  /** [B, C, H, W] seen as [B, H, W, C]; copied only where libtorch left the channels-last order. */
  static Tensor out(Tensor images) {
    return images.permute(0, 2, 3, 1).contiguous();
  }

  /**
   * Records an op of libtorch's on images [B, C, H, W] that keeps nothing, on ours.
   *
   * @param forward y of x
   * @param backward dx of dy
   */
  static Var record(
      Tape tape, String op, Var x, UnaryOperator<Tensor> forward, UnaryOperator<Tensor> backward) {
    return tape.record(
        op,
        tape.arena().compute(op, () -> out(forward.apply(in(x.handle())))),
        x.needsGradient(),
        List.of(),
        dy ->
            x.accumulate(
                tape.arena().compute(op + ".dx", () -> out(backward.apply(in(dy.handle()))))));
  }

  /** A new tensor [B, H, W, C] of one in the order of files and of other trainers, [B, C, H, W]. */
  public static dreambooth4j.engine.Tensor of(Arena arena, dreambooth4j.engine.Tensor images) {
    return arena.compute("channels_last", () -> out(images.handle()).clone());
  }

  /** A new tensor [B, C, H, W] of one of ours, [B, H, W, C]. */
  public static dreambooth4j.engine.Tensor undo(Arena arena, dreambooth4j.engine.Tensor images) {
    return arena.compute("channels_first", () -> in(images.handle()).contiguous().clone());
  }
}
