package dreambooth4j.engine.kernel;

import dreambooth4j.Problem;
import dreambooth4j.engine.Native;
import java.util.HashMap;
import java.util.Map;
import org.bytedeco.cuda.cudart.CUfunc_st;
import org.bytedeco.cuda.cudart.CUmod_st;
import org.bytedeco.cuda.cudart.CUstream_st;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerPointer;
import org.bytedeco.pytorch.global.torch_cuda;

/**
 * Launches kernels on the current CUDA device, on libtorch's current stream: they run in order with
 * ATen's, and a captured step captures them. The thread must have used that device through libtorch
 * before, which makes its context current. Code is loaded once and stays loaded while the process
 * lives; one thread uses a launcher.
 *
 * <p><b>Compiled, but not run on a GPU yet.</b>
 */
public final class CudaLauncher implements Launch.On {
  private final KernelCache cache;
  private final Map<KernelSource, CUmod_st> modules = new HashMap<>();
  private final Map<String, CUfunc_st> functions = new HashMap<>();

  /** Compiles what is not in the cache when it is first launched. */
  public CudaLauncher(KernelCache cache) {
    this.cache = cache;
  }

  @Override
  public void launch(Launch launch) {
    Native.run(
        launch.entry(),
        () ->
            check(
                launch.entry(),
                cudart.cuLaunchKernel(
                    function(launch),
                    launch.gridX(),
                    launch.gridY(),
                    1,
                    launch.threads(),
                    1,
                    1,
                    launch.sharedBytes(),
                    new CUstream_st(torch_cuda.getCurrentCUDAStream().stream()),
                    launch.packed(),
                    new PointerPointer<>((Pointer) null))));
  }

  private CUfunc_st function(Launch launch) {
    CUfunc_st known = functions.get(launch.entry());
    if (known != null) {
      return known;
    }
    CUfunc_st function = new CUfunc_st();
    check(
        launch.entry(),
        cudart.cuModuleGetFunction(function, module(launch.source()), launch.entry()));
    functions.put(launch.entry(), function);
    return function;
  }

  private CUmod_st module(KernelSource source) {
    CUmod_st known = modules.get(source);
    if (known != null) {
      return known;
    }
    byte[] cubin = cache.get(source, architecture(), driver()).cubin();
    CUmod_st module = new CUmod_st();
    check(source.file(), cudart.cuModuleLoadData(module, new BytePointer(cubin)));
    modules.put(source, module);
    return module;
  }

  /** The current device's compute capability, as 90. */
  private static int architecture() {
    int[] device = new int[1];
    check("device", cudart.cuCtxGetDevice(device));
    return 10 * attribute(cudart.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device[0])
        + attribute(cudart.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device[0]);
  }

  private static int attribute(int attribute, int device) {
    int[] value = new int[1];
    check("device", cudart.cuDeviceGetAttribute(value, attribute, device));
    return value[0];
  }

  private static String driver() {
    int[] version = new int[1];
    check("driver", cudart.cuDriverGetVersion(version));
    return Integer.toString(version[0]);
  }

  private static void check(String what, int result) {
    if (result == cudart.CUDA_SUCCESS) {
      return;
    }
    PointerPointer<BytePointer> text = new PointerPointer<>(1);
    String words =
        cudart.cuGetErrorString(result, text) == cudart.CUDA_SUCCESS
            ? text.get(BytePointer.class).getString()
            : "error " + result;
    throw new Problem(Problem.Kind.DEVICE, "CUDA: " + what + ": " + words);
  }
}
