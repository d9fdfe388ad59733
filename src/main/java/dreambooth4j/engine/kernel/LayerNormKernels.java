package dreambooth4j.engine.kernel;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Layer normalisation over the last axis of [.., C], {@code layer_norm.cu}, also of a sum that it
 * writes in the same pass; mean and rstd, one a row. The plain composition is {@code engine.op.Add}
 * and {@code engine.op.LayerNorm}.
 */
public final class LayerNormKernels implements NormKernels {
  private static final int THREADS = 128;
  private static final int ROWS = THREADS / 32;
  private static final int MOST_CHANNELS = 2048;

  /** Entries for fewer channels need fewer registers: what their names begin with. */
  private static final int[] NARROW = {512, 768, 1280};

  private final Launcher launcher;
  private final double epsilon;

  LayerNormKernels(Launcher launcher, double epsilon) {
    this.launcher = launcher;
    this.epsilon = epsilon;
  }

  /** Those of an arena; null where the plain op must do it. */
  public static @Nullable LayerNormKernels in(
      Arena arena, double epsilon, Tensor x, Tensor gamma, Tensor beta) {
    Launcher launcher = Kernels.of(arena);
    return launcher != null
            && Kernels.take(x, gamma, beta)
            && ColumnTiles.take(x, 1)
            && x.size(-1) <= mostChannels(x)
        ? new LayerNormKernels(launcher, epsilon)
        : null;
  }

  /** As {@link #in}, for {@link #forwardOfSum} of x and a residual of its shape. */
  public static @Nullable LayerNormKernels ofSumIn(
      Arena arena, double epsilon, Tensor x, Tensor residual, Tensor gamma, Tensor beta) {
    LayerNormKernels kernels = in(arena, epsilon, x, gamma, beta);
    return kernels != null && Kernels.take(x, residual) ? kernels : null;
  }

  private static int mostChannels(Tensor x) {
    return Launch.vector(x.dtype(), x.size(-1)) == 1 ? MOST_CHANNELS / 4 : MOST_CHANNELS;
  }

  @Override
  public long[] statistics(Tensor x) {
    return new long[] {rows(x)};
  }

  @Override
  public long forwardWork(Tensor x) {
    return 0;
  }

  @Override
  public long backwardWork(Tensor x) {
    return ColumnTiles.of(x, 1, THREADS).work(2);
  }

  @Override
  public void forward(Tensors of, @Nullable Tensor work, Tensor y) {
    forward(of.x(), null, null, of, y);
  }

  /** As {@link #forward} of a + b, which it writes to the x of {@code of}. */
  public void forwardOfSum(Tensor a, Tensor b, Tensors of, Tensor y) {
    forward(a, b, of.x(), of, y);
  }

  private void forward(
      Tensor x, @Nullable Tensor residual, @Nullable Tensor sum, Tensors of, Tensor y) {
    launch(
        "layer_norm_forward_",
        x,
        blocksOfRows(x),
        List.of(
            x,
            Launch.orNull(residual),
            of.gamma(),
            of.beta(),
            Launch.orNull(sum),
            y,
            of.mean(),
            of.rstd(),
            rows(x),
            (int) x.size(-1),
            (float) epsilon));
  }

  @Override
  public void backward(Tensors of, Tensor dy, @Nullable Tensor other, Tensor work, Gradients to) {
    Tensor x = of.x();
    ColumnTiles cut = ColumnTiles.of(x, 1, THREADS);
    int chunks = to.dgamma() == null ? 0 : cut.chunks();
    launch(
        "layer_norm_backward_",
        x,
        chunks * cut.tiles() + (to.dx() == null ? 0 : blocksOfRows(x)),
        List.of(
            dy,
            Launch.orNull(other),
            x,
            of.gamma(),
            of.mean(),
            of.rstd(),
            Launch.orNull(to.dx()),
            work,
            Launch.orNull(to.dgamma()),
            Launch.orNull(to.dbeta()),
            rows(x),
            cut.channels(),
            chunks,
            to.accumulate() ? 1 : 0));
  }

  private static int blocksOfRows(Tensor x) {
    return Launch.blocks(rows(x), ROWS, Integer.MAX_VALUE);
  }

  private void launch(String stem, Tensor x, int blocks, List<Object> arguments) {
    int vector = Launch.vector(x.dtype(), x.size(-1));
    if (x.size(-1) > mostChannels(x)) {
      throw new IllegalArgumentException("too many channels for this kernel: " + x);
    }
    launcher.launch(
        new Launch(
            KernelSource.LAYER_NORM,
            stem + (vector == 1 ? "" : narrow(x.size(-1))) + Launch.suffix(x.dtype(), vector == 1),
            blocks,
            1,
            THREADS,
            0,
            arguments));
  }

  private static String narrow(long channels) {
    for (int each : NARROW) {
      if (channels <= each) {
        return each + "_";
      }
    }
    return "";
  }

  private static int rows(Tensor x) {
    return Math.toIntExact(x.count() / x.size(-1));
  }
}
