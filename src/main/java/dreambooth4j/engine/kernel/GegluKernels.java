package dreambooth4j.engine.kernel;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Gated GELU, {@code geglu.cu}; the plain composition is {@code engine.op.Geglu}.
 *
 * <table>
 * <caption>Tensors, all of one storage type</caption>
 * <tr><th>tensor</th><th>shape</th></tr>
 * <tr><td>x, dx</td><td>[.., 2n], value and gate</td></tr>
 * <tr><td>y, dy</td><td>[.., n]</td></tr>
 * </table>
 */
public final class GegluKernels {
  private static final int THREADS = 256;
  private static final int BLOCKS = 4096;

  private GegluKernels() {}

  /** Where these are launched in an arena; null where the plain op must do it. */
  public static @Nullable Launcher launcherFor(Arena arena, Tensor x) {
    Launcher device = Kernels.of(arena);
    boolean taken = device != null && Kernels.take(x) && x.count() / 2 <= Integer.MAX_VALUE;
    return taken ? device : null;
  }

  /** y = value · GELU(gate). */
  public static void forward(Launcher device, Tensor x, Tensor y) {
    device.launch(launch("geglu_forward_", x, x, y));
  }

  /** Writes dx. */
  public static void backward(Launcher device, Tensor dy, Tensor x, Tensor dx) {
    device.launch(launch("geglu_backward_", x, dy, x, dx));
  }

  private static Launch launch(String stem, Tensor x, Tensor... tensors) {
    int width = (int) (x.size(-1) / 2);
    int rows = Math.toIntExact(x.count() / x.size(-1));
    int vector = Launch.vector(x.dtype(), width);
    long items = Math.toIntExact((long) rows * width) / vector;
    return new Launch(
        KernelSource.GEGLU,
        stem + Launch.suffix(x.dtype(), vector == 1),
        Launch.blocks(items, THREADS, BLOCKS),
        1,
        THREADS,
        0,
        Launch.arguments(List.of(tensors), rows, width));
  }
}
