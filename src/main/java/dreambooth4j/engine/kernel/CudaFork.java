package dreambooth4j.engine.kernel;

import org.bytedeco.cuda.cudart.CUevent_st;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.pytorch.cuda.CUDAStream;
import org.bytedeco.pytorch.global.torch_cuda;

/**
 * Two streams at once: the second piece of work is on a stream of its own, which waits for what was
 * launched before the first, and which libtorch's current stream waits for afterwards. In a
 * recording both become branches of the graph.
 *
 * <p>The second is called when the first has been: no memory that it frees is then given to the
 * first, which may still run. What libtorch allocates on the second stream it gives only to that
 * stream again, so that has workspaces of its own.
 *
 * <p><b>Compiled and rehearsed on a stand-in, but not run on a GPU yet.</b>
 */
public final class CudaFork implements Fork {
  private final CUDAStream side = another();
  private final CUevent_st forked = event();
  private final CUevent_st joined = event();

  /** libtorch hands out streams of a pool in turn, and one of them is current. */
  private static CUDAStream another() {
    try (CUDAStream current = torch_cuda.getCurrentCUDAStream()) {
      CUDAStream found = torch_cuda.getStreamFromPool(false, torch_cuda.current_device());
      while (found.equals(current)) {
        found.close();
        found = torch_cuda.getStreamFromPool(false, torch_cuda.current_device());
      }
      return found;
    }
  }

  private static CUevent_st event() {
    CUevent_st made = new CUevent_st();
    CudaRecorder.check(
        "cudaEventCreate", cudart.cudaEventCreateWithFlags(made, cudart.cudaEventDisableTiming));
    return made;
  }

  @Override
  public void run(Runnable work, Runnable beside) {
    try (CUDAStream main = torch_cuda.getCurrentCUDAStream()) {
      CudaRecorder.check("cudaEventRecord", cudart.cudaEventRecord(forked, main.stream()));
      work.run();
      CudaRecorder.check(
          "cudaStreamWaitEvent", cudart.cudaStreamWaitEvent(side.stream(), forked, 0));
      torch_cuda.setCurrentCUDAStream(side);
      try {
        beside.run();
      } finally {
        torch_cuda.setCurrentCUDAStream(main);
        join(main);
      }
    }
  }

  private void join(CUDAStream main) {
    CudaRecorder.check("cudaEventRecord", cudart.cudaEventRecord(joined, side.stream()));
    CudaRecorder.check("cudaStreamWaitEvent", cudart.cudaStreamWaitEvent(main.stream(), joined, 0));
  }
}
