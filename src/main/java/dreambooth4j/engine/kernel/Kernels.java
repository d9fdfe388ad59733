package dreambooth4j.engine.kernel;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Whether the ops of a tree of arenas take our kernels, and where these are launched. They do on
 * CUDA, unless the environment variable {@code DREAMBOOTH4J_KERNELS} is {@code off}, for
 * comparisons; on a CPU the plain ops are the only ones, except where a test launches kernels that
 * are emulated. In a dry tree nothing is launched, and what the kernels work in is counted.
 *
 * <table>
 * <caption>An op asks its {@code …Kernels} class, which knows what it takes; else it is plain</caption>
 * <tr><th>op</th><th>asks</th></tr>
 * <tr><td>GroupNorm</td><td>{@link GroupNormKernels#launcherFor}</td></tr>
 * <tr><td>LayerNorm</td><td>{@link LayerNormKernels#launcherFor}</td></tr>
 * <tr><td>Geglu</td><td>{@link GegluKernels#launcherFor}</td></tr>
 * <tr><td>Add, AddPerSample</td><td>{@link AddKernels#launcherFor}</td></tr>
 * </table>
 */
public final class Kernels {
  private static final boolean OFF = "off".equals(System.getenv("DREAMBOOTH4J_KERNELS"));

  private final @Nullable Launcher device;

  private Kernels(@Nullable Launcher device) {
    this.device = device;
  }

  /**
   * Launches the kernels of a tree on {@code device} rather than on the GPU: to be said before an
   * op runs there.
   */
  static void launchOn(Arena arena, Launcher device) {
    if (arena.tool(Kernels.class, () -> new Kernels(device)).device != device) {
      throw new IllegalStateException("ops have run in this tree already");
    }
  }

  /** Whether the ops of this arena take the ways of a GPU: our kernels, and what goes with them. */
  public static boolean areTaken(Arena arena) {
    return of(arena) != null;
  }

  /** Where an op in this arena launches kernels; null where it is plain. */
  public static @Nullable Launcher of(Arena arena) {
    return arena.tool(Kernels.class, () -> usual(arena)).device;
  }

  private static Kernels usual(Arena arena) {
    if (arena.device() == Device.CPU || OFF) {
      return new Kernels(null);
    }
    return new Kernels(arena.isDry() ? launch -> {} : new CudaLauncher(KernelCache.ofUser()));
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
