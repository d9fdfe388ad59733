package dreambooth4j.engine.kernel;

import dreambooth4j.Problem;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Platform;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.cuda.global.cudnn;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.PointerPointer;
import org.bytedeco.javacpp.SizeTPointer;
import org.bytedeco.pytorch.global.torch_cuda;

/**
 * The current CUDA device: the one whose context libtorch made current on this thread.
 *
 * <p><b>Compiled, but not run on a GPU yet.</b>
 */
public final class CudaDevice {
  private static final int NAME_BYTES = 256;

  private CudaDevice() {}

  /** Compute capability, as 90. */
  public static int architecture() {
    return 10 * attribute(cudart.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)
        + attribute(cudart.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  }

  /** Its name, such as NVIDIA H100. */
  public static String name() {
    return Native.call(
        "device",
        () -> {
          byte[] name = new byte[NAME_BYTES];
          check("device", cudart.cuDeviceGetName(name, NAME_BYTES, ordinal()));
          BytePointer text = new BytePointer(name);
          return text.getString();
        });
  }

  /** The driver's version, as 13010. */
  static String driver() {
    int[] version = new int[1];
    check("driver", cudart.cuDriverGetVersion(version));
    return Integer.toString(version[0]);
  }

  /** The versions of the libraries that compute, libtorch and cuDNN. */
  public static String libraries() {
    return Native.call(
        "libraries", () -> Platform.libtorch() + ", cuDNN " + cudnn.cudnnGetVersion());
  }

  /** What the device can still give, in bytes; asked before libtorch has made a context too. */
  public static long availableBytes() {
    return Native.call(
        "device memory",
        () -> {
          SizeTPointer free = new SizeTPointer(1);
          SizeTPointer total = new SizeTPointer(1);
          check("device memory", cudart.cudaMemGetInfo(free, total));
          return free.get();
        });
  }

  /** Waits until all that was launched on libtorch's current stream is done. */
  public static void await() {
    Native.run("synchronize", () -> torch_cuda.getCurrentCUDAStream().synchronize());
  }

  /**
   * The most bytes that libtorch's allocator had from the device at once, those that it kept for
   * later among them; since the process began, or since {@link #forgetPeak}.
   */
  public static long peakBytes() {
    return Native.call(
        "peak",
        () ->
            torch_cuda
                .getAllocator()
                .getDeviceStats(torch_cuda.current_device())
                .reserved_bytes()
                .peak());
  }

  /** Gives back what the allocator keeps for later, and measures the peak anew. */
  public static void forgetPeak() {
    Native.run(
        "peak",
        () -> {
          torch_cuda.getAllocator().emptyCache();
          torch_cuda.getAllocator().resetPeakStats(torch_cuda.current_device());
        });
  }

  private static int ordinal() {
    int[] device = new int[1];
    check("device", cudart.cuCtxGetDevice(device));
    return device[0];
  }

  private static int attribute(int attribute) {
    int[] value = new int[1];
    check("device", cudart.cuDeviceGetAttribute(value, attribute, ordinal()));
    return value[0];
  }

  /** What the driver refuses becomes a {@link Problem}. */
  static void check(String what, int result) {
    if (result == cudart.CUDA_SUCCESS) {
      return;
    }
    PointerPointer<BytePointer> text = new PointerPointer<>(1);
    String words =
        cudart.cuGetErrorString(result, text) == cudart.CUDA_SUCCESS
            ? text.get(BytePointer.class).getString()
            : "error " + result;
    throw new Problem(
        result == cudart.CUDA_ERROR_OUT_OF_MEMORY ? Problem.Kind.MEMORY : Problem.Kind.DEVICE,
        "CUDA: " + what + ": " + words);
  }
}
