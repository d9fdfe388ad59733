package dreambooth4j.engine.kernel;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Backend;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * A backend that may launch our kernels.
 *
 * <table>
 * <caption>An op asks its {@code …Kernels} class, which knows what it takes; else it is plain</caption>
 * <tr><th>op</th><th>asks</th></tr>
 * <tr><td>GroupNorm</td><td>{@link GroupNormKernels#in}</td></tr>
 * <tr><td>LayerNorm</td><td>{@link LayerNormKernels#in}</td></tr>
 * <tr><td>Geglu</td><td>{@link GegluKernels#launcherFor}</td></tr>
 * <tr><td>Add, AddPerSample</td><td>{@link AddKernels#launcherFor}</td></tr>
 * <tr><td>gradients of biases, AddPerSample</td><td>{@link ColumnSums#in}</td></tr>
 * </table>
 */
public interface Kernels extends Backend {
  /** Where kernels are launched; null where all ops are plain. */
  @Nullable Launcher launcher();

  /** Where an op in this arena launches kernels; null where it is plain. */
  static @Nullable Launcher of(Arena arena) {
    return arena.backend() instanceof Kernels kernels ? kernels.launcher() : null;
  }

  /** Whether tensors are of one storage type, and begin where 16-byte loads can. */
  static boolean take(Tensor first, Tensor... others) {
    DType dtype = first.dtype();
    boolean taken =
        (dtype == DType.F32 || dtype.isHalf()) && Launch.isAligned(first) && first.count() > 0;
    for (Tensor each : others) {
      taken = taken && each.dtype() == dtype && Launch.isAligned(each);
    }
    return taken;
  }
}
