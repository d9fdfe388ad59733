package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dreambooth4j.Problem;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Runs whose weights are pulled towards the base model's. */
class AnchoredRunTest {
  @TempDir Path folder;

  @SuppressWarnings("NullAway.Init")
  private TinyRun tiny;

  @BeforeEach
  void pictures() throws IOException {
    tiny =
        new TinyRun(folder)
            .withPaintedClassImages()
            .with("train_batch_size", 2)
            .with("adam_weight_decay", 0)
            .with("max_train_steps", 8);
  }

  private static double distance(Map<String, List<Float>> a, Map<String, List<Float>> b) {
    double sum = 0;
    for (Map.Entry<String, List<Float>> each : a.entrySet()) {
      List<Float> other = b.getOrDefault(each.getKey(), List.of());
      for (int i = 0; i < other.size(); i++) {
        sum += Math.pow(each.getValue().get(i) - (double) other.get(i), 2);
      }
    }
    return Math.sqrt(sum);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "anchor_dtype=fp32",
        "anchor_dtype=fp16",
        "fused_backward_pass=true max_grad_norm=0"
      })
  void shouldStayNearerToTheBaseModelAndGoOnExactly(String options) {
    double free;
    try (TinyTrainer trainer = new TinyTrainer(tiny)) {
      var base = trainer.unet();
      free = distance(trainer.train().unet(), base);
    }
    tiny.with("anchor_weight", 300).withOptions(options);
    Path checkpoint = folder.resolve("checkpoint-4");
    try (TinyTrainer whole = new TinyTrainer(tiny);
        TinyTrainer first = new TinyTrainer(tiny).train(4);
        TinyTrainer second = new TinyTrainer(tiny)) {
      var base = whole.unet();
      assertThat(distance(whole.train().unet(), base)).isBetween(0.2 * free, 0.7 * free);
      first.trainer.save(checkpoint);
      assertThat(second.trainer.resume(checkpoint)).isEmpty();
      second.train();
      assertThat(second.unet()).isEqualTo(whole.unet());
    }
  }

  /** Without learning the product of a LoRA's matrices shrinks as a weight's distance does. */
  @Test
  void shouldPullTheProductOfAdaptersToZeroWithoutACopy() {
    tiny.with("use_lora", true).with("learning_rate", 0.01);
    double free;
    try (TinyTrainer trainer = new TinyTrainer(tiny)) {
      free = size(trainer.train());
    }
    try (TinyTrainer trainer = new TinyTrainer(tiny.with("anchor_weight", 50))) {
      assertThat(size(trainer.train())).isBetween(0.1 * free, 0.8 * free);
      assertThat(trainer.trainer.training().optimizer().anchorBytes()).isZero();
    }
  }

  private static double size(TinyTrainer trainer) {
    double sum = 0;
    for (Map.Entry<String, List<Float>> each : trainer.unet().entrySet()) {
      if (each.getKey().endsWith("lora_B.weight")) {
        sum += each.getValue().stream().mapToDouble(v -> v * v).sum();
      }
    }
    return Math.sqrt(sum);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "anchor_weight=2000 | is more than 1",
        "anchor_weight=1 optimizer=Adafactor optimizer_args=scale_parameter=true | leave out scale_parameter",
        "anchor_weight=1 use_lora=true lora_kind=dora | take lora_kind: lora",
        "anchor_weight=-1 | anchor_weight"
      })
  void shouldRefuseWhatItCannotPull(String options, String expected) {
    assertThatThrownBy(() -> tiny.withOptions(options).config())
        .isInstanceOf(Problem.class)
        .hasMessageContaining(expected);
  }
}
