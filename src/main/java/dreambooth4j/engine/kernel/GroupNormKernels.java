package dreambooth4j.engine.kernel;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Group normalisation with SiLU after it, {@code group_norm_silu.cu}; the plain composition is
 * {@code engine.op.GroupNorm}.
 *
 * <table>
 * <caption>Tensors</caption>
 * <tr><th>tensor</th><th>shape</th><th>dtype</th></tr>
 * <tr><td>x, y, dx, dy</td><td>[B, H, W, C]</td><td>storage</td></tr>
 * <tr><td>gamma, beta, dgamma, dbeta</td><td>[C]</td><td>storage</td></tr>
 * <tr><td>mean, rstd</td><td>[B, groups]</td><td>F32</td></tr>
 * <tr><td>work</td><td>{@link #workElements}</td><td>F32</td></tr>
 * </table>
 */
public final class GroupNormKernels {
  /** What the norm is asked for. */
  public record Norm(int groups, double epsilon, boolean silu) {}

  private GroupNormKernels() {}

  /** Where these are launched in an arena; null where the plain op must do it. */
  public static @Nullable Launcher launcherFor(Arena arena, Tensor x, Tensor gamma, Tensor beta) {
    Launcher device = Kernels.of(arena);
    boolean taken = device != null && Kernels.take(x, gamma, beta) && Columns.take(x, x.size(0));
    return taken ? device : null;
  }

  /** Elements of the work buffer, an F32 one, that both directions need. */
  public static long workElements(Tensor x, int groups) {
    Columns cut = Columns.of(x);
    return workOfChannels(cut) + 2L * cut.samples() * groups;
  }

  /** Sums of every chunk's channels, up to the next 16-byte boundary. */
  private static long workOfChannels(Columns cut) {
    return (2L * cut.samples() * cut.channels() * cut.chunks() + 3) / 4 * 4;
  }

  private static Launch launch(
      Columns cut, String stem, DType dtype, int sharedBytes, List<Object> arguments) {
    return new Launch(
        KernelSource.GROUP_NORM_SILU,
        stem + Launch.suffix(dtype, cut.odd()),
        cut.chunks(),
        cut.samples(),
        cut.threads(),
        sharedBytes,
        arguments);
  }

  /** Writes y, mean and rstd. */
  public static void forward(
      Launcher device,
      Norm norm,
      Tensor x,
      Tensor gamma,
      Tensor beta,
      Tensor work,
      Tensor y,
      Tensor mean,
      Tensor rstd) {
    Columns cut = Columns.of(x);
    DType dtype = x.dtype();
    device.launch(
        launch(
            cut,
            "group_norm_sums_",
            dtype,
            cut.sharedBytes(2),
            List.of(x, work, cut.pixels(), cut.channels(), norm.groups)));
    device.launch(
        launch(
            cut,
            "group_norm_normalise_",
            dtype,
            3 * norm.groups * Float.BYTES,
            Launch.arguments(
                List.of(x, gamma, beta, work, y, mean, rstd),
                cut.pixels(),
                cut.channels(),
                norm.groups,
                (float) norm.epsilon,
                norm.silu ? 1 : 0)));
  }

  /**
   * Writes dx, if there is one, and the gradients of gamma and beta, if there are any.
   *
   * @param accumulate whether dgamma and dbeta are added to
   */
  public static void backward(
      Launcher device,
      Norm norm,
      Tensor dy,
      Tensor x,
      Tensor gamma,
      Tensor beta,
      Tensor mean,
      Tensor rstd,
      Tensor work,
      @Nullable Tensor dx,
      @Nullable Tensor dgamma,
      @Nullable Tensor dbeta,
      boolean accumulate) {
    Columns cut = Columns.of(x);
    DType dtype = x.dtype();
    int silu = norm.silu ? 1 : 0;
    device.launch(
        launch(
            cut,
            "group_norm_backward_sums_",
            dtype,
            cut.sharedBytes(2),
            Launch.arguments(
                List.of(dy, x, gamma, beta, mean, rstd, work),
                cut.pixels(),
                cut.channels(),
                norm.groups,
                silu)));
    // The sums of the groups lie behind those of the channels.
    Tensor ofGroups = work.rows(workOfChannels(cut), 2L * cut.samples() * norm.groups);
    device.launch(
        new Launch(
            KernelSource.GROUP_NORM_SILU,
            "group_norm_backward_groups_" + Launch.suffix(dtype, false),
            norm.groups,
            1,
            128,
            0,
            List.of(
                work,
                gamma,
                ofGroups,
                Launch.orNull(dgamma),
                Launch.orNull(dbeta),
                cut.samples(),
                cut.channels(),
                norm.groups,
                cut.chunks(),
                accumulate ? 1 : 0)));
    if (dx != null) {
      device.launch(
          launch(
              cut,
              "group_norm_backward_dx_",
              dtype,
              0,
              Launch.arguments(
                  List.of(dy, x, gamma, beta, mean, rstd, ofGroups, dx),
                  cut.pixels(),
                  cut.channels(),
                  norm.groups,
                  silu)));
    }
    ofGroups.release();
  }
}
