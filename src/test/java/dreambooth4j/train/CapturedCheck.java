package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.kernel.CudaDevice;
import dreambooth4j.engine.kernel.CudaFork;
import dreambooth4j.engine.kernel.CudaRecorder;
import dreambooth4j.engine.kernel.Emulated;
import dreambooth4j.engine.kernel.Recorder;
import dreambooth4j.engine.op.OpBackend;
import dreambooth4j.model.UNetConfig;
import dreambooth4j.random.CounterRandom;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/**
 * Whole steps on the machine's GPU: replayed from graphs, the same steps one by one, and the CPU's.
 * Batches have three shapes, whose graphs share a pool.
 *
 * @param keys of the configuration, as {@code key=value}, with spaces between them
 * @param ofLosses how far losses may be from the CPU's
 */
public record CapturedCheck(String keys, double ofLosses) {
  private static final int STEPS = 6;
  private static final int SHAPES = 3;

  /** How far captured steps may be from the same steps one by one, of what the weights moved by. */
  private static final double ROUNDING = 1e-3;

  /** For a GPU. */
  public static List<CapturedCheck> onGpu() {
    return List.of(
        new CapturedCheck("snr_gamma=5 offset_noise=0.1 prior_loss_scale=true", 1e-3),
        new CapturedCheck("use_8bit_adam=true gradient_checkpointing=true", 2e-3),
        new CapturedCheck("mixed_precision=bf16", 3e-2),
        new CapturedCheck("mixed_precision=fp16", 3e-2));
  }

  /** A recorder that runs the work itself at each replay. */
  private static final class Again implements Recorder {
    @Override
    public Runnable record(Runnable work) {
      return work;
    }

    @Override
    public void close() {}
  }

  /**
   * Runs it; says how close captured steps were to those one by one. On a CPU, where kernels are
   * emulated, a recording is the work itself.
   */
  public String on(Device device) {
    TinyRun tiny = tiny();
    try (TinyTrainer cpu = new TinyTrainer(tiny).train(STEPS);
        TinyTrainer plain = trained(tiny, device, Again::new);
        TinyTrainer captured = trained(tiny, device, () -> recorder(device))) {
      assertThat(captured.notes).filteredOn(each -> each.startsWith("cuda_graph")).isEmpty();
      for (int i = 0; i < STEPS; i++) {
        Losses losses = captured.reports.get(i).losses();
        assertThat(losses.total())
            .as("loss of step %d, and the CPU's", i)
            .isCloseTo(cpu.reports.get(i).losses().total(), within(ofLosses));
        assertThat(captured.reports.get(i).skipped()).isEqualTo(cpu.reports.get(i).skipped());
      }
      Map<String, List<Float>> before = untrained(tiny);
      Map<String, List<Float>> after = plain.unet();
      if (captured.unet().equals(after)) {
        return "bit for bit as one by one";
      }
      double off = distance(captured.unet(), after) / distance(before, after);
      assertThat(off).as("share of the movement").isLessThan(ROUNDING);
      return "%.1e of the movement off one by one".formatted(off);
    }
  }

  private static Map<String, List<Float>> untrained(TinyRun tiny) {
    try (TinyTrainer made = new TinyTrainer(tiny)) {
      return made.unet();
    }
  }

  /** A level of Stable Diffusion's UNet: the tiny one's heads are too narrow for fast attention. */
  private static final String LEVEL =
      """
      {"block_out_channels": [320], "norm_num_groups": 32, "attention_head_dim": 8,
       "layers_per_block": 1, "cross_attention_dim": 768,
       "down_block_types": ["CrossAttnDownBlock2D"], "up_block_types": ["CrossAttnUpBlock2D"]}
      """;

  /** How far losses in bf16 may be apart: attention's backward may add in any order. */
  private static final double OF_LOSSES = 1e-2;

  /** Steps of a random UNet of that level in bf16, captured, against the same one by one. */
  public static String wideHeads(Device device) {
    return wideHeads(device, () -> open(device));
  }

  /** The same with gradients of weights on a second stream: a race would change the losses. */
  public static String forked() {
    return wideHeads(
        Device.CUDA, () -> Arena.open("run", OpBackend.on(Device.CUDA).forking(CudaFork::new)));
  }

  private static String wideHeads(Device device, Supplier<Arena> forCaptured) {
    List<Double> plain = losses(() -> open(device), new Again());
    List<Double> captured = losses(forCaptured, recorder(device));
    for (int i = 0; i < plain.size(); i++) {
      assertThat(captured.get(i) / plain.get(i))
          .as("loss of step %d, of that one by one", i)
          .isCloseTo(1, within(OF_LOSSES));
    }
    assertThat(captured.get(captured.size() - 1)).as("it learns").isLessThan(captured.get(0));
    return "losses " + captured;
  }

  private static List<Double> losses(Supplier<Arena> opening, Recorder recorder) {
    MadeUpTraining.Manner manner =
        new MadeUpTraining.Manner(DType.BF16, MadeUpTraining.Manner.EXACT.memory(), 1e-4, 1, 0);
    List<Double> losses = new ArrayList<>();
    try (Arena run = opening.get();
        MadeUpTraining training =
            new MadeUpTraining(
                run,
                UNetConfig.of(new ObjectMapper().readTree(LEVEL), "one level"),
                new MadeUpTraining.Sizes(1, 8, 77),
                manner)) {
      training.capture(recorder);
      for (int i = 0; i < STEPS; i++) {
        losses.add(training.step());
      }
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
    return losses;
  }

  /** Timesteps that a graph drew are those of the host, bit for bit. */
  public static void timesteps(Device device) {
    TinyRun tiny = new CapturedCheck("", 0).tiny();
    try (TinyTrainer made = open(tiny, device);
        Arena arena = made.run.child("inputs")) {
      CapturedStep steps = made.trainer.capture(recorder(device), made.notes::add);
      PairBatches batches = new PairBatches(made.config, made.model, made.caches);
      BatchPlaces in = null;
      for (int step = 0; step < 3; step++) { // as it is, recorded, and again
        TrainingBatch batch = batches.batch(arena, made.pairs.epoch(0).get(0), step, 0, false);
        in = in == null ? new BatchPlaces(arena, batch) : in;
        in.write(batch);
        made.trainer.training().write(new StepSettings(step, 0, 1, 1, 0), 1);
        steps.run(in);
        long[] expected = new long[batch.rowIndex().length];
        for (int i = 0; i < expected.length; i++) {
          long seed = made.config.training().seed();
          expected[i] =
              CounterRandom.at(seed, "timesteps", step, batch.rowIndex()[i]).uniformInt(1000);
        }
        assertThat(in.timesteps.toLongs()).as("step %d", step).isEqualTo(expected);
      }
      assertThat(steps.recorded()).isEqualTo(1);
    }
  }

  /** Steps under these keys are captured and replayed; what they compute is not looked at. */
  static void replays(String keys) {
    TinyRun tiny = new CapturedCheck(keys, 0).tiny();
    try (TinyTrainer captured = trained(tiny, Device.CUDA, CudaRecorder::new)) {
      assertThat(captured.notes).filteredOn(each -> each.startsWith("cuda_graph")).isEmpty();
    }
  }

  /** After all shapes are recorded no replay takes more memory. */
  public static void flatMemory() {
    TinyRun tiny = new CapturedCheck("num_train_epochs=200", 0).tiny();
    try (TinyTrainer made = open(tiny, Device.CUDA)) {
      CapturedStep steps = made.trainer.capture(recorder(Device.CUDA), made.notes::add);
      made.train(20);
      assertThat(steps.recorded()).isEqualTo(SHAPES);
      long peak = CudaDevice.peakBytes();
      long live = made.run.meter().liveBytes();
      made.train(500);
      assertThat(CudaDevice.peakBytes()).isEqualTo(peak);
      assertThat(made.run.meter().liveBytes()).isEqualTo(live);
    }
  }

  private static Recorder recorder(Device device) {
    return device == Device.CUDA ? new CudaRecorder() : new Again();
  }

  private static Arena open(Device device) {
    return device == Device.CPU ? Emulated.open() : Arena.open("run", OpBackend.on(device));
  }

  private static TinyTrainer open(TinyRun tiny, Device device) {
    return new TinyTrainer(tiny, open(device));
  }

  private static TinyTrainer trained(TinyRun tiny, Device device, Supplier<Recorder> recorder) {
    TinyTrainer made = open(tiny, device);
    CapturedStep steps = made.trainer.capture(recorder.get(), made.notes::add);
    made.train(STEPS);
    assertThat(steps.recorded()).as("shapes that came again").isEqualTo(SHAPES);
    return made;
  }

  /** What was done to two sets of weights apart, over all elements. */
  private static double distance(Map<String, List<Float>> ours, Map<String, List<Float>> theirs) {
    double off = 0;
    for (Map.Entry<String, List<Float>> each : theirs.entrySet()) {
      List<Float> a = ours.getOrDefault(each.getKey(), List.of());
      List<Float> b = each.getValue();
      for (int i = 0; i < b.size(); i++) {
        off += Math.pow(a.get(i) - b.get(i), 2);
      }
    }
    return Math.sqrt(off);
  }

  private TinyRun tiny() {
    try {
      TinyRun tiny =
          new TinyRun(Files.createTempDirectory("captured"))
              .withPaintedClassImages()
              .with("num_train_epochs", 2)
              .with("prior_loss_target", 2)
              .with("train_batch_size", 2)
              .with("cuda_graph", true);
      for (String each : keys.split(" ", -1)) {
        if (!each.isEmpty()) {
          tiny.with(each.replaceFirst("=.*", ""), each.replaceFirst(".*=", ""));
        }
      }
      return tiny;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
