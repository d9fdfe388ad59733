package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dreambooth4j.Problem;
import dreambooth4j.config.ComputeConfig.CudaGraph;
import dreambooth4j.config.Config;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Optimizer;
import dreambooth4j.engine.kernel.Emulated;
import dreambooth4j.engine.kernel.Recorder;
import dreambooth4j.weights.Component;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Whole steps with every quantity on the device, their kernels emulated, against {@link
 * TrainingStep} and the plain optimizer; and when steps are captured. A recording is stood in for
 * by the work itself, which runs again at each replay.
 */
class CapturedStepTest {
  @TempDir Path folder;

  @SuppressWarnings("NullAway.Init")
  private TinyRun tiny;

  @BeforeEach
  void pictures() throws IOException {
    tiny =
        new TinyRun(folder)
            .withPaintedClassImages()
            .with("num_train_epochs", 2)
            .with("prior_loss_target", 2);
  }

  /** Stands in for CUDA's graphs. */
  private static final class Again implements Recorder {
    int recorded;

    @Override
    public Runnable record(Runnable work) {
      recorded++;
      return work;
    }

    @Override
    public void close() {}
  }

  /** Trains all steps on the emulated device. */
  private static TinyTrainer captured(TinyRun run, Recorder recorder)
      throws IOException, InterruptedException {
    TinyTrainer made = new TinyTrainer(run, Emulated.open());
    made.trainer.capture(recorder, made.notes::add);
    return made.train(6);
  }

  /** A recording executes nothing, so its failure leaves no weights in the midst of a step. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void shouldNotBeInTheMidstOfAnUpdateAfterARecordingFails(boolean required) throws IOException {
    tiny.withoutClass().with("max_grad_norm", 0);
    try (TinyTrainer trained = new TinyTrainer(tiny)) {
      Recorder refusing =
          new Recorder() {
            @Override
            public Runnable record(Runnable work) {
              Optimizer optimizer = trained.trainer.training().optimizer();
              optimizer.states().get(0).moments().get(0).release();
              try {
                work.run(); // fails in its update
              } finally {
                trained.run.meter().limit(trained.run.meter().liveBytes()); // then in its forward
              }
              return work;
            }

            @Override
            public void close() {}
          };
      trained.trainer.training().capture(refusing, required, trained.notes::add);
      assertThatThrownBy(() -> trained.train(6)).isInstanceOf(Problem.class);
      assertThat(trained.notes).hasSize(required ? 0 : 1);
      assertThat(trained.trainer.isUpdating()).isFalse();
    }
  }

  private static double distance(Map<String, List<Float>> ours, Map<String, List<Float>> theirs) {
    double off = 0;
    double all = 0;
    for (Map.Entry<String, List<Float>> each : theirs.entrySet()) {
      List<Float> a = ours.getOrDefault(each.getKey(), List.of());
      List<Float> b = each.getValue();
      for (int i = 0; i < b.size(); i++) {
        off += Math.pow(a.get(i) - b.get(i), 2);
        all += Math.pow(b.get(i), 2);
      }
    }
    return Math.sqrt(off / all);
  }

  /** Batches of three shapes, the short one among them; the prior loss weight changes. */
  @Tag("kernels")
  @ParameterizedTest
  @CsvSource({
    "snr_gamma=5 offset_noise=0.1 prior_loss_scale=true,1e-4,0.02",
    "use_8bit_adam=true gradient_checkpointing=true,1e-3,0.02",
    "prior=prediction num_class_images_per=3 offset_noise=0.1,1e-4,0.02",
    "mixed_precision=bf16 max_grad_norm=0,2e-2,",
    "use_lora=true lora_targets=convolutions,1e-4,0.02",
    "use_lora=true lora_kind=lokr lora_targets=convolutions lora_dropout=0.2,1e-4,0.02",
    "use_lora=true mixed_precision=bf16,2e-2,",
    "mixed_precision=fp16,2e-2,"
  })
  void shouldTrainAsTheStepOfTheHostDoes(String keys, double ofLosses, @Nullable Double ofMovement)
      throws IOException, InterruptedException {
    tiny.with("train_batch_size", 2);
    for (String each : keys.split(" ", -1)) {
      tiny.with(each.replaceFirst("=.*", ""), each.replaceFirst(".*=", ""));
    }
    Again recorder = new Again();
    try (TinyTrainer plain = new TinyTrainer(tiny);
        TinyTrainer ours = captured(tiny, recorder)) {
      Map<String, List<Float>> before = plain.unet();
      plain.train(6);
      assertThat(recorder.recorded).as("shapes that came again").isEqualTo(3);
      for (int i = 0; i < plain.reports.size(); i++) {
        Trainer.StepReport theirs = plain.reports.get(i);
        Trainer.StepReport own = ours.reports.get(i);
        assertThat(own.losses().total()).isCloseTo(theirs.losses().total(), within(ofLosses));
        assertThat(own.losses().instance()).isCloseTo(theirs.losses().instance(), within(ofLosses));
        assertThat(own.losses().prior()).isCloseTo(theirs.losses().prior(), within(ofLosses));
        assertThat(own.skipped()).isEqualTo(theirs.skipped());
        if (!own.skipped()) {
          assertThat(own.gradientNorm() / theirs.gradientNorm()).isCloseTo(1, within(ofLosses));
        }
        assertThat(own.pictures()).isEqualTo(theirs.pictures());
        assertThat(own.priorLossWeight()).isEqualTo(theirs.priorLossWeight());
      }
      if (ofMovement == null) {
        // 16 bits differ from 16 bits by what each is off: no more than the host's is.
        try (TinyTrainer exact = new TinyTrainer(tiny.with("mixed_precision", "no")).train(6)) {
          assertThat(distance(ours.unet(), exact.unet()))
              .isLessThan(1.5 * distance(plain.unet(), exact.unet()));
        }
        return;
      }
      double moved = distance(before, plain.unet());
      assertThat(moved).isPositive();
      assertThat(distance(ours.unet(), plain.unet())).isLessThan(ofMovement * moved);
    }
  }

  /** In fp16 steps are skipped at first: the average stays, and the decay does not rise. */
  @Tag("kernels")
  @ParameterizedTest
  @CsvSource({"no,1e-3", "fp16,0.05"})
  void shouldAverageTheWeightsAsTheHostDoes(String precision, double ofMovement)
      throws IOException, InterruptedException {
    tiny.with("mixed_precision", precision)
        .with("adam_epsilon", "1e-3") // moves in proportion to the gradient, not by its sign
        .with("use_ema", true)
        .with("ema_decay", 0.7);
    boolean half = precision.equals("fp16");
    Path checkpoint = folder.resolve("checkpoint-0");
    try (TinyTrainer start = new TinyTrainer(tiny);
        TinyTrainer plain = new TinyTrainer(tiny);
        TinyTrainer ours = new TinyTrainer(tiny, Emulated.open())) {
      start.saveWithScale(checkpoint, half ? 0x1p19 : 1);
      float[] before = start.model.parameters(Component.UNET).saved().toFloats();
      ours.trainer.capture(new Again(), ours.notes::add);
      plain.trainer.resume(checkpoint);
      ours.trainer.resume(checkpoint);
      plain.train(4);
      ours.train(4);
      assertThat(ours.reports)
          .extracting(Trainer.StepReport::skipped)
          .containsExactly(half, half, false, false);
      assertThat(plain.reports)
          .extracting(Trainer.StepReport::skipped)
          .containsExactly(half, half, false, false);
      float[] average = plain.model.parameters(Component.UNET).saved().toFloats();
      double moved = distance(before, average);
      assertThat(moved).isPositive();
      assertThat(distance(average, plain.model.parameters(Component.UNET).masters().toFloats()))
          .isGreaterThan(0.05 * moved);
      assertThat(distance(ours.model.parameters(Component.UNET).saved().toFloats(), average))
          .isLessThan(ofMovement * moved);
    }
  }

  private static double distance(float[] a, float[] b) {
    double sum = 0;
    for (int i = 0; i < b.length; i++) {
      sum += Math.pow(a[i] - b[i], 2);
    }
    return Math.sqrt(sum);
  }

  @Tag("kernels")
  @Test
  void shouldDrawTheTimestepsOfTheHostBitForBit() {
    CapturedCheck.timesteps(Device.CPU);
  }

  /** What a GPU is checked by, on itself. */
  @Tag("kernels")
  @Test
  void shouldHoldTheChecksOfAGpu() {
    assertThat(new CapturedCheck("mixed_precision=bf16", 3e-2).on(Device.CPU))
        .isEqualTo("bit for bit as one by one");
  }

  @Tag("kernels")
  @Test
  void shouldGoOnWithoutWhereARecordingFails() throws IOException, InterruptedException {
    tiny.with("max_train_steps", 3); // of two shapes: one comes again
    Recorder failing =
        failing(new IllegalStateException("operation not permitted when stream is capturing"));
    try (TinyTrainer trained = captured(tiny, failing);
        TinyTrainer other = captured(tiny, new Again())) {
      assertThat(trained.unet()).isEqualTo(other.unet());
      assertThat(trained.notes)
          .filteredOn(each -> each.startsWith("cuda_graph"))
          .containsExactly(
              "cuda_graph: steps are not captured: operation not permitted when stream is capturing");
    }
    tiny.with("cuda_graph", true);
    assertThatThrownBy(() -> captured(tiny, failing))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("Set cuda_graph: auto")
        .extracting(each -> ((Problem) each).kind())
        .isEqualTo(Problem.Kind.DEVICE);
    Recorder full = failing(new Problem(Problem.Kind.MEMORY, "add: out of memory (8 bytes)"));
    assertThatThrownBy(() -> captured(tiny, full))
        .extracting(each -> ((Problem) each).kind())
        .isEqualTo(Problem.Kind.MEMORY);
  }

  private static Recorder failing(RuntimeException why) {
    return new Recorder() {
      @Override
      public Runnable record(Runnable work) {
        throw why;
      }

      @Override
      public void close() {}
    };
  }

  @Tag("kernels")
  @Test
  void shouldLeaveTheWeightsWhereALossIsNotFinite() throws IOException, InterruptedException {
    tiny.with("learning_rate", "1e30").with("adam_epsilon", "1e-30");
    try (TinyTrainer trained = new TinyTrainer(tiny, Emulated.open())) {
      trained.trainer.capture(new Again(), trained.notes::add);
      assertThatThrownBy(trained::train)
          .isInstanceOf(Problem.class)
          .hasMessageContaining("is not finite");
      assertThat(trained.model.firstBadWeight()).isNull();
    }
  }

  private @Nullable String refusal(String key, Object value) {
    return CapturedStep.refusal(tiny.with(key, value).config(), Device.CUDA, 1, true);
  }

  @Test
  void shouldSayWhyItDoesNotCapture() {
    Config config = tiny.config();
    assertThat(CapturedStep.refusal(config, Device.CUDA, 1, true)).isNull();
    assertThat(CapturedStep.refusal(config, Device.CPU, 1, true))
        .isEqualTo("the run is on the CPU");
    assertThat(CapturedStep.refusal(config, Device.CUDA, 1, false)).contains("kernels are off");
    assertThat(CapturedStep.refusal(config, Device.CUDA, 2, true)).contains("over 2 ranks");
    assertThat(refusal("gradient_accumulation_steps", 2)).contains("another shape");
    tiny.with("gradient_accumulation_steps", 1);
    assertThat(refusal("train_text_encoder", true)).contains("embeddings");
    tiny.with("train_text_encoder", false).with("max_grad_norm", 0);
    assertThat(refusal("fused_backward_pass", true)).contains("each gradient");
  }

  @Test
  void shouldCaptureAsTheKeySays() {
    List<String> notes = new ArrayList<>();
    assertThat(CapturedStep.wanted(CudaGraph.AUTO, null, notes::add)).isTrue();
    assertThat(CapturedStep.wanted(CudaGraph.FALSE, null, notes::add)).isFalse();
    assertThat(notes).isEmpty();
    assertThat(CapturedStep.wanted(CudaGraph.AUTO, "it rains", notes::add)).isFalse();
    assertThat(notes).containsExactly("cuda_graph: steps are not captured: it rains");
    assertThatThrownBy(() -> CapturedStep.wanted(CudaGraph.TRUE, "it rains", notes::add))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("cuda_graph: true: it rains");
  }
}
