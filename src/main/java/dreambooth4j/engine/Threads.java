package dreambooth4j.engine;

import java.lang.management.ManagementFactory;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.LongConsumer;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.openblas.presets.openblas_nolapack;
import org.bytedeco.pytorch.InferenceMode;
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
   * Does the parts of a work, each by its number from 0, on all threads. Every thread calls
   * libtorch for itself, so that threads wait for each other once, at the end, rather than after
   * every call: on a busy machine that is most of the time. What a part computes depends on neither
   * the thread nor the other parts. Where one fails, none is begun after it, and this returns when
   * all have ended.
   */
  static void share(long parts, LongConsumer part) {
    share(ALL, parts, part);
  }

  /** The same on so many threads, even where libtorch was told to use one. */
  static void share(int most, long parts, LongConsumer part) {
    int threads = (int) Math.min(most, parts);
    if (threads <= 1) {
      LongStream.range(0, parts).forEach(part);
      return;
    }
    int before = torch.get_num_threads();
    AtomicLong next = new AtomicLong();
    AtomicReference<@Nullable Throwable> failed = new AtomicReference<>();
    Runnable one =
        () -> {
          for (long i = next.getAndIncrement(); i < parts; i = next.getAndIncrement()) {
            try {
              part.accept(i);
            } catch (RuntimeException | Error e) {
              failed.compareAndSet(null, e);
              next.set(parts);
            }
          }
        };
    IntStream.range(0, threads).parallel().forEach(i -> alone(one));
    torch.set_num_threads(before);
    if (failed.get() instanceof Error error) {
      throw error;
    }
    if (failed.get() instanceof RuntimeException e) {
      throw e;
    }
  }

  /** Without libtorch's other threads, and without autograd, which is switched off by thread. */
  private static void alone(Runnable body) {
    if (torch.get_num_threads() != 1) {
      torch.set_num_threads(1);
    }
    try (InferenceMode mode = new InferenceMode(true)) {
      body.run();
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

  /** How many the calling thread's work is cut over now. */
  public static int used() {
    return torch.get_num_threads();
  }

  private static void use(int threads) {
    torch.set_num_threads(threads);
    openblas_nolapack.blas_set_num_threads(threads); // it has a pool of its own
  }

  /** Whether OpenBLAS multiplies matrices here, rather than a library that stands in for it. */
  public static boolean hasOpenBlas() {
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
