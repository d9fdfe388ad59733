package dreambooth4j.engine.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.OpBackend;
import java.io.IOException;
import java.util.function.Consumer;
import org.bytedeco.cuda.cudart.CUevent_st;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.pytorch.cuda.CUDAStream;
import org.bytedeco.pytorch.global.torch_cuda;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * What a capture refuses on a device that computes nothing, and how {@link CudaRecorder} goes on.
 */
@Tag("rehearse")
class StandInTest {
  @SuppressWarnings("NullAway.Init")
  private Arena run;

  @SuppressWarnings("NullAway.Init")
  private Tensor tensor;

  @BeforeAll
  static void load() throws IOException, InterruptedException {
    assumeTrue(StandIn.available(), "libtorch is the CPU's here, or g++ is not installed");
    StandIn.load();
  }

  @BeforeEach
  void open() {
    run = Arena.open("run", OpBackend.on(Device.CUDA));
    tensor = run.zeros("tensor", DType.F32, 1);
    StandIn.forget();
  }

  @AfterEach
  void close() {
    run.close();
  }

  /** Records something illegal, which fails, and then something legal. */
  private void refuses(Consumer<Tensor> illegal, String reason, String violation) {
    try (CudaRecorder recorder = new CudaRecorder()) {
      assertThatThrownBy(() -> recorder.record(() -> illegal.accept(tensor)))
          .hasMessageContaining(reason);
      assertThat(StandIn.report().violations()).anyMatch(each -> each.contains(violation));
      StandIn.forget();
      recorder.record(tensor::zero_).run();
    }
    assertThat(StandIn.report().violations()).isEmpty();
    assertThat(StandIn.report().nodes()).hasSize(1);
  }

  @Test
  void shouldRefuseToWaitInACapture() {
    refuses(t -> CudaDevice.await(), "stream is capturing", "cudaStreamSynchronize");
  }

  @Test
  void shouldRefuseToReadANumberInACapture() {
    refuses(Tensor::item, "stream is capturing", "while a stream captures");
  }

  @Test
  void shouldRefuseToCopyPageableMemoryInACapture() {
    refuses(t -> t.copyFrom(new float[1]), "stream is capturing", "pageable");
  }

  /** Clears a tensor on a stream that waits for the one that is captured, if it does. */
  private static void fork(Tensor tensor, boolean waits, boolean joins) {
    CUDAStream main = torch_cuda.getCurrentCUDAStream();
    CUDAStream side = torch_cuda.getStreamFromPool(false, (byte) 0);
    CUevent_st event = new CUevent_st();
    cudart.cudaEventCreate(event);
    if (waits) {
      cudart.cudaEventRecord(event, main.stream());
      cudart.cudaStreamWaitEvent(side.stream(), event, 0);
    }
    torch_cuda.setCurrentCUDAStream(side);
    tensor.zero_();
    torch_cuda.setCurrentCUDAStream(main);
    if (joins) {
      cudart.cudaEventRecord(event, side.stream());
      cudart.cudaStreamWaitEvent(main.stream(), event, 0);
    }
    cudart.cudaEventDestroy(event);
  }

  @Test
  void shouldRefuseAForkThatIsNotJoined() {
    refuses(t -> fork(t, true, false), "unjoined", "not joined");
  }

  @Test
  void shouldCaptureAForkThatIsJoined() {
    try (CudaRecorder recorder = new CudaRecorder()) {
      recorder.record(() -> fork(tensor, true, true)).run();
    }
    assertThat(StandIn.report().violations()).isEmpty();
    assertThat(StandIn.report().nodes()).hasSize(1);
    assertThat(StandIn.report().astray()).isEmpty();
  }

  /** Clears one tensor beside two others, after one and before another. */
  private void forked(Fork fork) {
    Tensor[] parts = new Tensor[5];
    for (int i = 0; i < parts.length; i++) {
      parts[i] = run.allocate("part", DType.F32, 1);
    }
    try (CudaRecorder recorder = new CudaRecorder()) {
      recorder
          .record(
              () -> {
                for (int i = 0; i < 2; i++) { // a second fork must wait as the first does
                  parts[0].zero_();
                  fork.run(
                      () -> {
                        parts[1].zero_();
                        parts[2].zero_();
                      },
                      parts[3]::zero_);
                  parts[4].zero_();
                }
              })
          .run();
    }
  }

  @Test
  void shouldForkAStreamThatWaitsForWhatWasBeforeAndIsWaitedFor() {
    forked(new CudaFork());
    assertThat(StandIn.report().violations()).isEmpty();
    assertThat(StandIn.report().astray()).isEmpty();
    assertThat(StandIn.report().nodes()).hasSize(10);
    assertThat(StandIn.report().beside()).hasSize(2).allMatch(each -> each.startsWith("2 "));
  }

  @Test
  void shouldRunNothingAtOnceWithoutAFork() {
    forked(Fork.NONE);
    assertThat(StandIn.report().nodes()).hasSize(10);
    assertThat(StandIn.report().beside()).isEmpty();
  }

  @Test
  void shouldJoinAForkWhoseWorkFails() {
    IllegalStateException failure = new IllegalStateException("failed");
    CudaFork fork = new CudaFork();
    try (CudaRecorder recorder = new CudaRecorder()) {
      assertThatThrownBy(
              () ->
                  recorder.record(
                      () ->
                          fork.run(
                              tensor::zero_,
                              () -> {
                                tensor.zero_();
                                throw failure;
                              })))
          .hasMessageContaining("failed");
      recorder.record(tensor::zero_).run();
    }
    assertThat(StandIn.report().violations()).isEmpty();
    assertThat(StandIn.report().nodes()).hasSize(1);
  }

  @Test
  void shouldNoticeWorkThatNoReplayWillRepeat() {
    try (CudaRecorder recorder = new CudaRecorder()) {
      recorder.record(() -> fork(tensor, false, false));
    }
    assertThat(StandIn.report().astray()).hasSize(1);
    assertThat(StandIn.report().nodes()).isEmpty();
  }
}
