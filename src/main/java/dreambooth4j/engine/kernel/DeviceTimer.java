package dreambooth4j.engine.kernel;

import dreambooth4j.engine.Device;
import dreambooth4j.engine.Native;
import java.util.Arrays;
import org.bytedeco.cuda.cudart.CUevent_st;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.pytorch.global.torch_cuda;
import org.jspecify.annotations.Nullable;

/**
 * How long work takes: on CUDA recorded as a graph, so that the host's part in it does not count,
 * and replayed between two events; on the CPU, to try benches out, by the clock.
 */
public final class DeviceTimer implements AutoCloseable {
  private static final int SAMPLES = 7;

  /** A sample repeats the work until it takes about so long, for a measurement and for a trial. */
  private static final double SAMPLE_SECONDS = 0.02;

  private static final double TRIAL_SECONDS = 0.002;

  private static final int MOST_TIMES = 200;

  /** Calls of a trial's recording: so many hide what launching a graph takes. */
  private static final int BATCH = 10;

  /** Seconds of one run: the median of the samples, and their extremes. */
  public record Time(double median, double least, double most) {}

  private final @Nullable CudaRecorder recorder;
  private final double sampleSeconds;

  /** Work runs on a stream of this timer's from here on. */
  public DeviceTimer(Device device) {
    this(device, SAMPLE_SECONDS);
  }

  private DeviceTimer(Device device, double sampleSeconds) {
    this.sampleSeconds = sampleSeconds;
    recorder = device == Device.CUDA ? new CudaRecorder() : null;
  }

  /**
   * Seconds that a call takes in a captured step, for {@link Autotuner}'s trials: a recorded batch
   * of calls is replayed, so that of calls of few microseconds the host's part does not count.
   */
  public static double ofCall(Device device, Runnable call) {
    try (DeviceTimer timer = new DeviceTimer(device, TRIAL_SECONDS)) {
      Runnable batch =
          () -> {
            for (int i = 0; i < BATCH; i++) {
              call.run();
            }
          };
      return timer.time(batch, true).median / BATCH;
    }
  }

  /**
   * Runs work a few times, and then until it is timed.
   *
   * @param captured whether it can be recorded; otherwise it is run as it is
   */
  public Time time(Runnable work, boolean captured) {
    work.run();
    work.run();
    Runnable again = recorder != null && captured ? recorder.record(work) : work;
    double once = seconds(again, 1);
    int times = (int) Math.max(1, Math.min(sampleSeconds / seconds(again, 1), MOST_TIMES));
    double[] samples = new double[once > 1 ? 3 : SAMPLES];
    for (int i = 0; i < samples.length; i++) {
      samples[i] = seconds(again, times);
    }
    Arrays.sort(samples);
    return new Time(samples[samples.length / 2], samples[0], samples[samples.length - 1]);
  }

  private double seconds(Runnable work, int times) {
    if (recorder != null) {
      return Native.call("time", () -> onDevice(work, times));
    }
    long start = System.nanoTime();
    for (int i = 0; i < times; i++) {
      work.run();
    }
    return (System.nanoTime() - start) / 1e9 / times;
  }

  private static double onDevice(Runnable work, int times) {
    CUevent_st start = new CUevent_st();
    CUevent_st end = new CUevent_st();
    CudaRecorder.check("cudaEventCreate", cudart.cudaEventCreate(start));
    CudaRecorder.check("cudaEventCreate", cudart.cudaEventCreate(end));
    try {
      var stream = torch_cuda.getCurrentCUDAStream().stream();
      CudaRecorder.check("cudaEventRecord", cudart.cudaEventRecord(start, stream));
      for (int i = 0; i < times; i++) {
        work.run();
      }
      CudaRecorder.check("cudaEventRecord", cudart.cudaEventRecord(end, stream));
      CudaRecorder.check("cudaEventSynchronize", cudart.cudaEventSynchronize(end));
      float[] milliseconds = new float[1];
      CudaRecorder.check(
          "cudaEventElapsedTime", cudart.cudaEventElapsedTime(milliseconds, start, end));
      return milliseconds[0] / 1e3 / times;
    } finally {
      cudart.cudaEventDestroy(start);
      cudart.cudaEventDestroy(end);
    }
  }

  @Override
  public void close() {
    if (recorder != null) {
      recorder.close();
    }
  }
}
