package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dreambooth4j.engine.kernel.CudaFork;
import dreambooth4j.engine.kernel.StandIn;
import dreambooth4j.engine.op.CountedBackend;
import dreambooth4j.model.UNetConfig;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Whole captured steps through libtorch's real GPU part, on a device that computes nothing: every
 * call that a GPU would get is made, and what a capture forbids is refused.
 */
@Tag("rehearse")
class RehearsalTest {
  @BeforeAll
  static void load() throws IOException, InterruptedException {
    assumeTrue(StandIn.available(), "libtorch is the CPU's here, or g++ is not installed");
    StandIn.load();
  }

  @BeforeEach
  void forget() {
    StandIn.forget();
  }

  private static void assertNothingIllegal() {
    assertThat(StandIn.report().violations()).isEmpty();
    assertThat(StandIn.report().astray()).isEmpty();
  }

  /** What a dry step is counted to launch is what libtorch launches. */
  @Test
  void shouldCaptureAStepOfWhatIsCountedDry() throws IOException {
    UNetConfig narrow = LaunchCensus.stableDiffusion(5);
    LaunchCensus captured = LaunchCensus.captured(narrow, CountedBackend.flash());
    assertNothingIllegal();
    captured.nodes().remove(LaunchCensus.COUNTERS);
    String counted = LaunchCensus.dry(narrow).table();
    System.out.println(counted);
    assertThat(captured.table()).isEqualTo(counted);
  }

  /** The same nodes, of which gradients of weights may run beside those of their inputs alone. */
  @Test
  void shouldForkTheGradientsOfWeights() throws IOException {
    UNetConfig narrow = LaunchCensus.stableDiffusion(5);
    LaunchCensus forked =
        LaunchCensus.captured(narrow, CountedBackend.flash().forking(CudaFork::new));
    assertNothingIllegal();
    forked.nodes().remove(LaunchCensus.COUNTERS);
    assertThat(forked.table()).isEqualTo(LaunchCensus.dry(narrow).table());
    assertThat(LaunchCensus.beside().nodes())
        .isEqualTo(
            Map.of(
                "convolution filter",
                51,
                "libtorch's matrix products",
                197,
                "our column_sums",
                104));
    assertThat(StandIn.report().beside())
        .as("an input's gradient is three products and a sum at most")
        .allMatch(each -> each.matches("[1-4] .*"));
  }

  /** Three shapes of batches with one pool, and the attentions that a trial finds fastest. */
  @Test
  void shouldTakeNoMoreMemoryInReplays() {
    CapturedCheck.flatMemory();
    assertNothingIllegal();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "snr_gamma=5 offset_noise=0.1 prior_loss_scale=true use_ema=true",
        "use_8bit_adam=true gradient_checkpointing=true",
        "mixed_precision=bf16 use_ema=true anchor_weight=10",
        "mixed_precision=fp16 loss_type=huber",
        "full_bf16=true mixed_precision=bf16 optimizer=lion",
        "use_lora=true lora_targets=convolutions mixed_precision=bf16",
        "use_lora=true lora_kind=dora prior=prediction",
        "use_lora=true lora_kind=lokr frozen_dtype=bf16"
      })
  void shouldCaptureStepsUnder(String keys) {
    CapturedCheck.replays(keys);
    assertNothingIllegal();
  }

  /** Latents, steps, samples, a checkpoint and the model, on a GPU from end to end. */
  @ParameterizedTest
  @ValueSource(
      strings = {"mixed_precision=bf16 use_ema=true", "mixed_precision=fp16 use_lora=true"})
  void shouldRunFromPicturesToAModel(String keys, @TempDir Path folder) throws IOException {
    TinyRun tiny =
        new TinyRun(folder)
            .withPaintedClassImages()
            .withOptions(keys)
            .with("device", "cuda")
            .with("cuda_graph", true)
            .with("checkpointing_steps", 3)
            .with("validation_steps", 3)
            .with("validation_prompt", "a man")
            .with("max_train_steps", 6);
    assertThat(TinyRun.run(tiny.config())).isTrue();
    assertNothingIllegal();
    tiny.with("max_train_steps", 9).with("resume_from_checkpoint", "latest");
    assertThat(TinyRun.run(tiny.config())).isTrue();
    assertNothingIllegal();
  }
}
