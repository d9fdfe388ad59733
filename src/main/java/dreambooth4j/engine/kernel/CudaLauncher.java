package dreambooth4j.engine.kernel;

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
public final class CudaLauncher implements Launcher {
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
            CudaDevice.check(
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
    CudaDevice.check(
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
    byte[] cubin = cache.get(source, CudaDevice.architecture(), CudaDevice.driver()).cubin();
    CUmod_st module = new CUmod_st();
    CudaDevice.check(source.file(), cudart.cuModuleLoadData(module, new BytePointer(cubin)));
    modules.put(source, module);
    return module;
  }
}
