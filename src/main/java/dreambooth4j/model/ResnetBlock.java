package dreambooth4j.model;

import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.Add;
import dreambooth4j.engine.op.AddPerSample;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * diffusers' {@code ResnetBlock2D}: two normalised convolutions and a shortcut, [B, H, W, in] to
 * [B, H, W, out]. The UNet's adds a projection of the time embedding between them; the VAE's has
 * none.
 */
final class ResnetBlock {
  private final ChannelNorm norm1;
  private final Conv conv1;
  private final @Nullable Dense timeProjection;
  private final ChannelNorm norm2;
  private final Conv conv2;
  private final @Nullable Dense shortcut;

  /** {@code timeWidth} 0 means that there is no time embedding. */
  ResnetBlock(Scope scope, int in, int out, int timeWidth, int groups, double epsilon) {
    norm1 = scope.channelNorm("norm1", in, groups, epsilon);
    conv1 = scope.conv("conv1", in, out, 3, 1, 1);
    timeProjection = timeWidth == 0 ? null : scope.dense("time_emb_proj", timeWidth, out, true);
    norm2 = scope.channelNorm("norm2", out, groups, epsilon);
    conv2 = scope.conv("conv2", out, out, 3, 1, 1);
    shortcut = in == out ? null : scope.pointwise("conv_shortcut", in, out);
  }

  /** {@code time} is SiLU of the time embedding [B, timeWidth], null where the block takes none. */
  Var forward(Tape tape, Var x, @Nullable Var time) {
    Biased second = biased(tape, conv2);
    Biased direct = biased(tape, shortcut == null ? (t, in) -> in : shortcut);
    return tape.block(
        () -> {
          Var h =
              tape.chain(
                  x,
                  List.of(
                      in -> norm1.silu(tape, in),
                      in -> timed(tape, in, time),
                      in -> norm2.silu(tape, in),
                      in -> second.layer().forward(tape, in)));
          return Add.apply(tape, direct.layer().forward(tape, x), h, second.biasesWith(direct));
        });
  }

  private Var timed(Tape tape, Var x, @Nullable Var time) {
    if (timeProjection == null || time == null) {
      return conv1.forward(tape, x);
    }
    Biased first = biased(tape, conv1);
    Biased projection = biased(tape, timeProjection);
    return AddPerSample.apply(
        tape,
        first.layer().forward(tape, x),
        projection.layer().forward(tape, time),
        first.biasesWith(projection));
  }

  /** Sums add the biases of both their layers where that spares a pass. */
  private static Biased biased(Tape tape, Layer layer) {
    return Add.takesBiases(tape.arena()) ? Biased.apart(layer) : Biased.whole(layer);
  }
}
