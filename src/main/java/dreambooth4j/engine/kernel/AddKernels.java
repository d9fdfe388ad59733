package dreambooth4j.engine.kernel;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Residual and time-embedding sums, {@code add.cu}; the plain compositions are {@code
 * engine.op.Add} and {@code engine.op.AddPerSample}. All tensors are of one storage type.
 */
public final class AddKernels {
  private static final int THREADS = 256;
  private static final int BLOCKS = 2048;

  private AddKernels() {}

  /** Where {@link #add} is launched in an arena; null where the plain op must do it. */
  public static @Nullable Launcher launcherFor(Arena arena, Tensor a, Tensor b) {
    Launcher device = Kernels.of(arena);
    return device != null && Kernels.take(a, b) ? device : null;
  }

  /** Where {@link #perSample} is launched in an arena; null where the plain op must do it. */
  public static @Nullable Launcher onSamples(Arena arena, Tensor x, Tensor vector) {
    Launcher device = launcherFor(arena, x, vector);
    return device != null && Columns.take(x, x.size(0)) ? device : null;
  }

  /** y = a + b, all of one shape; y may be a or b. */
  public static void add(Launcher device, Tensor a, Tensor b, Tensor y) {
    device.launch(
        new Launch(
            KernelSource.ADD,
            "add_" + Launch.suffix(a.dtype(), false),
            Launch.blocks(a.count() / Launch.wide(a.dtype()) + 1, THREADS, BLOCKS),
            1,
            THREADS,
            0,
            List.of(a, b, y, a.count())));
  }

  /** y[b, .., c] = x[b, .., c] + vector[b, c]. */
  public static void perSample(Launcher device, Tensor x, Tensor vector, Tensor y) {
    Columns cut = Columns.of(x);
    device.launch(
        cut.launch(
            KernelSource.ADD,
            "add_per_sample_",
            x.dtype(),
            0,
            List.of(x, vector, y, cut.pixels(), cut.channels())));
  }
}
