package dreambooth4j.engine.kernel;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Group normalisation of pictures [B, H, W, C] with SiLU after it, {@code group_norm_silu.cu}; mean
 * and rstd [B, groups]. The plain composition is {@code engine.op.GroupNorm}.
 */
public final class GroupNormKernels implements NormKernels {
  /** What the norm is asked for. */
  public record Norm(int groups, double epsilon, boolean silu) {
    private int siluFlag() {
      return silu ? 1 : 0;
    }
  }

  private final Launcher launcher;
  private final Norm norm;

  GroupNormKernels(Launcher launcher, Norm norm) {
    this.launcher = launcher;
    this.norm = norm;
  }

  /** Those of an arena; null where the plain op must do it. */
  public static @Nullable GroupNormKernels in(
      Arena arena, Norm norm, Tensor x, Tensor gamma, Tensor beta) {
    Launcher launcher = Kernels.of(arena);
    return launcher != null
            && Kernels.take(x, gamma, beta)
            && Columns.take(x)
            && x.size(0) + x.size(-1) <= Launch.MOST_ROWS // rows of blocks for both
        ? new GroupNormKernels(launcher, norm)
        : null;
  }

  @Override
  public long[] statistics(Tensor x) {
    return new long[] {x.size(0), norm.groups};
  }

  @Override
  public long forwardWork(Tensor x) {
    return workOfGroups(Columns.of(x));
  }

  @Override
  public long backwardWork(Tensor x) {
    Columns cut = Columns.of(x);
    return workOfGroups(cut) + 2L * cut.samples() * cut.channels() * cut.chunks();
  }

  /** Sums of every chunk's groups, up to the next 16-byte boundary. */
  private long workOfGroups(Columns cut) {
    return (2L * cut.samples() * norm.groups * cut.chunks() + 3) / 4 * 4;
  }

  private void launch(Columns cut, String stem, Tensor x, int sharedBytes, List<Object> arguments) {
    launcher.launch(
        cut.launch(KernelSource.GROUP_NORM_SILU, stem, x.dtype(), sharedBytes, arguments));
  }

  @Override
  public void forward(Tensors of, @Nullable Tensor work, Tensor y) {
    Objects.requireNonNull(work, "work");
    Tensor x = of.x();
    Columns cut = Columns.of(x);
    launch(
        cut,
        "group_norm_sums_",
        x,
        cut.sharedBytes(2),
        List.of(x, work, cut.pixels(), cut.channels(), norm.groups));
    launch(
        cut,
        "group_norm_normalise_",
        x,
        3 * norm.groups * Float.BYTES,
        Launch.arguments(
            List.of(x, of.gamma(), of.beta(), work, y, of.mean(), of.rstd()),
            cut.pixels(),
            cut.channels(),
            norm.groups,
            (float) norm.epsilon,
            norm.siluFlag()));
  }

  @Override
  public void backward(Tensors of, Tensor dy, @Nullable Tensor other, Tensor work, Gradients to) {
    Tensor x = of.x();
    Columns cut = Columns.of(x);
    // The sums of the channels lie behind those of the groups.
    long ofGroups = workOfGroups(cut);
    Tensor ofChannels =
        to.dgamma() == null ? null : work.rows(ofGroups, backwardWork(x) - ofGroups);
    launch(
        cut,
        "group_norm_backward_sums_",
        x,
        cut.sharedBytes(2),
        List.of(
            dy,
            x,
            of.gamma(),
            of.beta(),
            of.mean(),
            of.rstd(),
            work,
            Launch.orNull(ofChannels),
            cut.pixels(),
            cut.channels(),
            norm.groups,
            norm.siluFlag()));
    int rows = (to.dx() == null ? 0 : cut.samples()) + parameterRows(cut, ofChannels);
    launcher.launch(
        new Launch(
            KernelSource.GROUP_NORM_SILU,
            "group_norm_backward_dx_" + Launch.suffix(x.dtype(), cut.vector() == 1),
            cut.chunks(),
            rows,
            cut.threads(),
            2 * norm.groups * Float.BYTES,
            List.of(
                dy,
                Launch.orNull(other),
                x,
                of.gamma(),
                of.beta(),
                of.mean(),
                of.rstd(),
                work,
                Launch.orNull(ofChannels),
                Launch.orNull(to.dx()),
                Launch.orNull(to.dgamma()),
                Launch.orNull(to.dbeta()),
                cut.samples(),
                cut.pixels(),
                cut.channels(),
                norm.groups,
                norm.siluFlag(),
                to.accumulate() ? 1 : 0)));
    if (ofChannels != null) {
      ofChannels.release();
    }
  }

  /** Rows of blocks that add up dgamma and dbeta, a warp a channel. */
  private static int parameterRows(Columns cut, @Nullable Tensor ofChannels) {
    int ofARow = cut.chunks() * cut.threads() / 32;
    return ofChannels == null ? 0 : (cut.channels() + ofARow - 1) / ofARow;
  }
}
