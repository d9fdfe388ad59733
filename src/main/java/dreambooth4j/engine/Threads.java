package dreambooth4j.engine;

import java.lang.management.ManagementFactory;
import java.util.function.Supplier;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.openblas.presets.openblas_nolapack;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/** How many threads libtorch's CPU kernels use. */
public final class Threads {
  /**
   * Below so many weights one thread does the work sooner than two that wait for each other at
   * every op: measured on 2 cores, 4.8 million weights, 8×8 latents, 62 ms a step against 150 to
   * 360.
   */
  private static final long WEIGHTS_FOR_ONE_THREAD = 50_000_000;

  /** Those before any model was fitted. */
  private static final int ALL = torch.get_num_threads();

  private Threads() {}

  /**
   * Fits the number to a model of so many weights; {@code OMP_NUM_THREADS} overrides it. It depends
   * on nothing but the model and the machine, never on a timing: another number of threads rounds
   * otherwise, and a run must repeat bit for bit.
   */
  public static void fit(long weights) {
    if (System.getenv("OMP_NUM_THREADS") == null && weights < WEIGHTS_FOR_ONE_THREAD) {
      use(1);
    }
  }

  /**
   * Runs libtorch calls over buffers of all weights with all threads, whatever the model was fitted
   * with: these are few, and where one thread has to wait for another it is once. For calls whose
   * results do not depend on the number of threads.
   */
  static <T> T withAll(Supplier<T> body) {
    int threads = torch.get_num_threads();
    if (threads == ALL) {
      return body.get();
    }
    torch.set_num_threads(ALL);
    try {
      return body.get();
    } finally {
      torch.set_num_threads(threads);
    }
  }

  /**
   * Runs a libtorch call whose threads multiply matrices each for itself: OpenBLAS, which would let
   * them queue for its own pool, works in the calling thread meanwhile. MKL does so by itself.
   */
  public static <T> T withoutBlasPool(Supplier<T> body) {
    int threads = torch.get_num_threads();
    if (threads == 1 || OpenBlasThreads.SET == null) {
      return body.get();
    }
    OpenBlasThreads.SET.call(1);
    try {
      return body.get();
    } finally {
      OpenBlasThreads.SET.call(threads);
    }
  }

  /**
   * Seconds of processor time that {@code body} takes with one thread: what else runs on the
   * machine hardly changes it, for nothing waits for another thread. For trials of what is faster.
   */
  public static double processorSeconds(Runnable body) {
    int threads = torch.get_num_threads();
    use(1);
    try {
      long start = ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
      body.run();
      return (ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime() - start) / 1e9;
    } finally {
      use(threads);
    }
  }

  private static void use(int threads) {
    torch.set_num_threads(threads);
    openblas_nolapack.blas_set_num_threads(threads); // it has a pool of its own
  }

  /** Whether OpenBLAS multiplies matrices here, rather than a library that stands in for it. */
  static boolean hasOpenBlas() {
    return OpenBlasThreads.SET != null;
  }

  /** OpenBLAS' own setter: the one of its preset looks four names up in each call. */
  private static final class OpenBlasThreads extends openblas_nolapack.SetNumThreads {
    /** Null where another library stands in for OpenBLAS. */
    static final @Nullable OpenBlasThreads SET = find();

    private static @Nullable OpenBlasThreads find() {
      Pointer address = Loader.addressof("openblas_set_num_threads");
      return address == null ? null : new OpenBlasThreads(address);
    }

    private OpenBlasThreads(Pointer address) {
      put(address);
      retainReference();
    }
  }
}
