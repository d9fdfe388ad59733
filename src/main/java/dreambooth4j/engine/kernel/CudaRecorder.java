package dreambooth4j.engine.kernel;

import dreambooth4j.Problem;
import dreambooth4j.engine.Native;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.cuda.cudart.CUgraphExec_st;
import org.bytedeco.cuda.cudart.CUgraph_st;
import org.bytedeco.cuda.cudart.CUstream_st;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.cuda.CUDAStream;
import org.bytedeco.pytorch.cuda.DeviceAssertionsDataVectorCUDAKernelLaunchInfoVectorPair;
import org.bytedeco.pytorch.cuda.StreamFilter;
import org.bytedeco.pytorch.global.torch_cuda;
import org.jspecify.annotations.Nullable;

/**
 * Recordings as CUDA graphs, in the way of {@code at::cuda::CUDAGraph}, which has no Java binding.
 * While it is open, a stream of its own is libtorch's current one on this thread: CUDA cannot
 * record the default stream, and so nothing has to be ordered between two. What is allocated in a
 * recording comes from one private pool of libtorch's allocator, which all recordings share: they
 * are replayed one after another, and leave nothing there that a later one needs.
 *
 * <p><b>Compiled, but not run on a GPU yet.</b>
 */
public final class CudaRecorder implements Recorder {
  /** Whether memory comes from the pool: on the recorded stream, and on those that it forks. */
  private static final class Captured extends StreamFilter {
    @Override
    public boolean call(Pointer stream) {
      int[] status = new int[1];
      return stream != null
          && cudart.cudaStreamIsCapturing(new CUstream_st(stream), status) == cudart.cudaSuccess
          && status[0] == cudart.cudaStreamCaptureStatusActive;
    }
  }

  private final byte ordinal;
  private final CUDAStream before;
  private final CUDAStream stream;
  private final Captured filter = new Captured();

  /** libtorch's MempoolId_t, two numbers; 1.5.13 gives that type another's name. */
  private final LongPointer poolId;

  /** Where each graph is written as a .dot file; null for nowhere. */
  private final @Nullable Path drawn;

  private final List<CUgraphExec_st> graphs = new ArrayList<>();
  private int pools;

  /** Makes a stream of its own current. */
  public CudaRecorder() {
    this(null);
  }

  /**
   * As {@link #CudaRecorder()}.
   *
   * @param drawn a folder, where each recording is written as Graphviz's {@code graph-1.dot},
   *     {@code graph-2.dot} and so on: an exact list of what a replay launches; null for nowhere
   */
  public CudaRecorder(@Nullable Path drawn) {
    this.drawn = drawn;
    torch_cuda.device_synchronize();
    ordinal = torch_cuda.current_device();
    before = torch_cuda.getCurrentCUDAStream();
    stream = torch_cuda.getStreamFromPool(false, ordinal);
    poolId = new LongPointer(1, 0);
    torch_cuda.setCurrentCUDAStream(stream);
  }

  @Override
  public Runnable record(Runnable work) {
    return Native.call("capture", () -> recorded(work));
  }

  private Runnable recorded(Runnable work) {
    torch_cuda.device_synchronize();
    // What steps that were not recorded left in the allocator's cache is no use to the pool.
    torch_cuda.getAllocator().emptyCache();
    CUgraph_st graph = new CUgraph_st();
    torch_cuda.beginAllocateToPool(ordinal, pool(), filter);
    pools++;
    try {
      capture(work, graph);
    } finally {
      torch_cuda.endAllocateToPool(ordinal, pool());
    }
    if (drawn != null) {
      String file = drawn.resolve("graph-%d.dot".formatted(graphs.size() + 1)).toString();
      check(
          "cudaGraphDebugDotPrint",
          cudart.cudaGraphDebugDotPrint(graph, file, cudart.cudaGraphDebugDotFlagsVerbose));
    }
    CUgraphExec_st executable = new CUgraphExec_st();
    int made =
        cudart.cudaGraphInstantiateWithFlags(
            executable, graph, cudart.cudaGraphInstantiateFlagAutoFreeOnLaunch);
    cudart.cudaGraphDestroy(graph);
    check("cudaGraphInstantiateWithFlags", made);
    executable.retainReference();
    graphs.add(executable);
    return () ->
        Native.run(
            "replay",
            () -> check("cudaGraphLaunch", cudart.cudaGraphLaunch(executable, stream.stream())));
  }

  /** A capture is ended whatever happens in it: until then the stream can do nothing else. */
  private void capture(Runnable work, CUgraph_st graph) {
    check(
        "cudaStreamBeginCapture",
        cudart.cudaStreamBeginCapture(stream.stream(), cudart.cudaStreamCaptureModeThreadLocal));
    RuntimeException failure = null;
    try {
      work.run();
    } catch (RuntimeException e) {
      failure = e;
    }
    int ended = cudart.cudaStreamEndCapture(stream.stream(), graph);
    if (failure != null) {
      cudart.cudaGetLastError(); // as in check
      if (!graph.isNull()) {
        cudart.cudaGraphDestroy(graph);
      }
      throw failure;
    }
    check("cudaStreamEndCapture", ended);
  }

  private DeviceAssertionsDataVectorCUDAKernelLaunchInfoVectorPair pool() {
    return new DeviceAssertionsDataVectorCUDAKernelLaunchInfoVectorPair(poolId);
  }

  /**
   * Waits for what runs, frees all graphs and their pool, and makes the stream of before current.
   */
  @Override
  public void close() {
    Native.run(
        "graphs",
        () -> {
          torch_cuda.device_synchronize();
          for (CUgraphExec_st each : graphs) {
            cudart.cudaGraphExecDestroy(each);
            each.releaseReference();
          }
          graphs.clear();
          for (; pools > 0; pools--) {
            torch_cuda.getAllocator().releasePool(ordinal, pool());
          }
          torch_cuda.setCurrentCUDAStream(before);
        });
    filter.close();
    poolId.close();
    stream.close();
    before.close();
  }

  static void check(String call, int result) {
    if (result != cudart.cudaSuccess) {
      cudart.cudaGetLastError(); // forgets it: the next call of libtorch would report it as its own
      throw new Problem(
          result == cudart.cudaErrorMemoryAllocation ? Problem.Kind.MEMORY : Problem.Kind.DEVICE,
          "CUDA: " + call + ": " + cudart.cudaGetErrorString(result).getString());
    }
  }
}
