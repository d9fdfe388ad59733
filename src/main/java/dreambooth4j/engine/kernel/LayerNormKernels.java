package dreambooth4j.engine.kernel;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Layer normalisation of x plus a residual, {@code layer_norm.cu}; the plain composition is {@code
 * engine.op.Add} and {@code engine.op.LayerNorm}.
 *
 * <table>
 * <caption>Tensors</caption>
 * <tr><th>tensor</th><th>shape</th><th>dtype</th></tr>
 * <tr><td>x, residual, sum, y and their gradients</td><td>[.., C]</td><td>storage</td></tr>
 * <tr><td>gamma, beta, dgamma, dbeta</td><td>[C]</td><td>storage</td></tr>
 * <tr><td>mean, rstd</td><td>[..]</td><td>F32</td></tr>
 * <tr><td>work</td><td>{@link #workElements}</td><td>F32</td></tr>
 * </table>
 */
public final class LayerNormKernels {
  private static final int THREADS = 128;
  private static final int ROWS = THREADS / 32;
  private static final int MOST_CHANNELS = 2048;

  private LayerNormKernels() {}

  /** Where these are launched in an arena; null where the plain op must do it. */
  public static @Nullable Launcher launcherFor(Arena arena, Tensor x, Tensor gamma, Tensor beta) {
    Launcher device = Kernels.of(arena);
    boolean taken =
        device != null
            && Kernels.take(x, gamma, beta)
            && Columns.take(x, 1)
            && x.size(-1) <= mostChannels(x);
    return taken ? device : null;
  }

  /** As {@link #launcherFor}, of x and a residual of its shape. */
  public static @Nullable Launcher onSum(
      Arena arena, Tensor x, Tensor residual, Tensor gamma, Tensor beta) {
    Launcher device = launcherFor(arena, x, gamma, beta);
    return device != null && Kernels.take(x, residual) ? device : null;
  }

  private static int mostChannels(Tensor x) {
    return Launch.vector(x.dtype(), x.size(-1)) == 1 ? MOST_CHANNELS / 4 : MOST_CHANNELS;
  }

  /** Elements of the work buffer of the way back. */
  public static long workElements(Tensor x) {
    Columns cut = Columns.of(x, 1);
    return 2L * cut.channels() * cut.chunks();
  }

  /**
   * Writes y, mean, rstd and, where there is a residual, the sum that is normalised.
   *
   * @param sum null where the residual is
   */
  public static void forward(
      Launcher device,
      Tensor x,
      @Nullable Tensor residual,
      Tensor gamma,
      Tensor beta,
      double epsilon,
      @Nullable Tensor sum,
      Tensor y,
      Tensor mean,
      Tensor rstd) {
    device.launch(
        ofRows(
            "layer_norm_forward_",
            x,
            List.of(
                x,
                Launch.orNull(residual),
                gamma,
                beta,
                Launch.orNull(sum),
                y,
                mean,
                rstd,
                rows(x),
                (int) x.size(-1),
                (float) epsilon)));
  }

  /**
   * Writes the gradients.
   *
   * @param dsum what comes back to the sum by another way, or null
   * @param sum what was normalised
   * @param dx the gradient of x and of the residual, or null
   * @param dgamma null, as dbeta, where they are frozen
   * @param accumulate whether dgamma and dbeta are added to
   */
  public static void backward(
      Launcher device,
      Tensor dy,
      @Nullable Tensor dsum,
      Tensor sum,
      Tensor gamma,
      Tensor mean,
      Tensor rstd,
      Tensor work,
      @Nullable Tensor dx,
      @Nullable Tensor dgamma,
      @Nullable Tensor dbeta,
      boolean accumulate) {
    int channels = (int) sum.size(-1);
    if (dx != null) {
      device.launch(
          ofRows(
              "layer_norm_backward_dx_",
              sum,
              List.of(dy, Launch.orNull(dsum), sum, gamma, mean, rstd, dx, rows(sum), channels)));
    }
    if (dgamma == null || dbeta == null) {
      return;
    }
    Columns cut = Columns.of(sum, 1);
    DType dtype = sum.dtype();
    device.launch(
        new Launch(
            KernelSource.LAYER_NORM,
            "layer_norm_backward_columns_" + Launch.suffix(dtype, cut.odd()),
            cut.chunks(),
            1,
            cut.threads(),
            cut.sharedBytes(2),
            List.of(dy, sum, mean, rstd, work, rows(sum), channels)));
    device.launch(
        new Launch(
            KernelSource.LAYER_NORM,
            "layer_norm_backward_finish_" + Launch.suffix(dtype, false),
            Launch.blocks(channels, ROWS, channels),
            1,
            THREADS,
            0,
            List.of(work, dgamma, dbeta, channels, cut.chunks(), accumulate ? 1 : 0)));
  }

  private static Launch ofRows(String stem, Tensor x, List<Object> arguments) {
    int vector = Launch.vector(x.dtype(), x.size(-1));
    if (x.size(-1) > mostChannels(x)) {
      throw new IllegalArgumentException("too many channels for this kernel: " + x);
    }
    return new Launch(
        KernelSource.LAYER_NORM,
        stem + Launch.suffix(x.dtype(), vector == 1),
        Launch.blocks(rows(x), ROWS, Integer.MAX_VALUE),
        1,
        THREADS,
        0,
        arguments);
  }

  private static int rows(Tensor x) {
    return Math.toIntExact(x.count() / x.size(-1));
  }
}
