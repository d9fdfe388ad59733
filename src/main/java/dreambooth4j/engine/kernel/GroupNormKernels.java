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
    return launcher != null && Kernels.take(x, gamma, beta) && Columns.take(x, x.size(0))
        ? new GroupNormKernels(launcher, norm)
        : null;
  }

  @Override
  public long[] statistics(Tensor x) {
    return new long[] {x.size(0), norm.groups};
  }

  @Override
  public long forwardWork(Tensor x) {
    return backwardWork(x);
  }

  @Override
  public long backwardWork(Tensor x) {
    Columns cut = Columns.of(x);
    return workOfChannels(cut) + 2L * cut.samples() * norm.groups;
  }

  /** Sums of every chunk's channels, up to the next 16-byte boundary. */
  private static long workOfChannels(Columns cut) {
    return (2L * cut.samples() * cut.channels() * cut.chunks() + 3) / 4 * 4;
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
  public boolean addsGradient() {
    return false;
  }

  @Override
  public void backward(Tensors of, Tensor dy, @Nullable Tensor other, Tensor work, Gradients to) {
    Tensor x = of.x();
    Columns cut = Columns.of(x);
    launch(
        cut,
        "group_norm_backward_sums_",
        x,
        cut.sharedBytes(2),
        Launch.arguments(
            List.of(dy, x, of.gamma(), of.beta(), of.mean(), of.rstd(), work),
            cut.pixels(),
            cut.channels(),
            norm.groups,
            norm.siluFlag()));
    // The sums of the groups lie behind those of the channels.
    Tensor ofGroups = work.rows(workOfChannels(cut), 2L * cut.samples() * norm.groups);
    launcher.launch(
        new Launch(
            KernelSource.GROUP_NORM_SILU,
            "group_norm_backward_groups_" + Launch.suffix(x.dtype(), false),
            norm.groups,
            1,
            128,
            0,
            List.of(
                work,
                of.gamma(),
                ofGroups,
                Launch.orNull(to.dgamma()),
                Launch.orNull(to.dbeta()),
                cut.samples(),
                cut.channels(),
                norm.groups,
                cut.chunks(),
                to.accumulate() ? 1 : 0)));
    if (to.dx() != null) {
      launch(
          cut,
          "group_norm_backward_dx_",
          x,
          0,
          Launch.arguments(
              List.of(dy, x, of.gamma(), of.beta(), of.mean(), of.rstd(), ofGroups, to.dx()),
              cut.pixels(),
              cut.channels(),
              norm.groups,
              norm.siluFlag()));
    }
    ofGroups.release();
  }
}
