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

  /**
   * Where {@link #perSample} is launched in an arena; null where the plain op must do it.
   *
   * @param other or the vector
   */
  public static @Nullable Launcher onSamples(
      Arena arena, Tensor x, Tensor other, List<Tensor> biases) {
    Launcher device = launcherFor(arena, x, other);
    return device != null
            && Columns.take(x)
            && biases.size() <= 2
            && Kernels.take(x, biases.toArray(Tensor[]::new))
        ? device
        : null;
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

  /**
   * y[b, .., c] = x[b, .., c] + other[b, .., c] + vector[b, c] and what biases have of c.
   *
   * @param biases at most two
   */
  public static void perSample(
      Launcher device,
      Tensor x,
      @Nullable Tensor other,
      @Nullable Tensor vector,
      List<Tensor> biases,
      Tensor y) {
    Columns cut = Columns.of(x);
    device.launch(
        cut.launch(
            KernelSource.ADD,
            "add_per_sample_",
            x.dtype(),
            0,
            List.of(
                x,
                Launch.orNull(other),
                Launch.orNull(vector),
                Launch.orNull(biases.isEmpty() ? null : biases.get(0)),
                Launch.orNull(biases.size() < 2 ? null : biases.get(1)),
                y,
                cut.pixels(),
                cut.channels())));
  }
}
