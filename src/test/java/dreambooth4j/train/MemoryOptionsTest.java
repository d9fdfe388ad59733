package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.withinPercentage;

import dreambooth4j.Problem;
import dreambooth4j.weights.Component;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a run may do to need less memory, and that it learns the same all the same. */
class MemoryOptionsTest {
  @TempDir Path folder;

  @SuppressWarnings("NullAway.Init")
  private TinyRun tiny;

  @BeforeEach
  void pictures() throws IOException {
    tiny = new TinyRun(folder).withPaintedClassImages().with("max_train_steps", 4);
  }

  /**
   * Sizes that no level halves evenly, several batches a step, the text encoder without its end.
   */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void shouldLearnTheSameBitsWithCheckpointingInLessMemory(boolean text) {
    tiny.with("train_batch_size", 2).with("gradient_accumulation_steps", 2);
    if (text) {
      tiny.with("train_text_encoder", true).with("clip_skip", 2);
    }
    long plainPeak;
    long peak;
    try (TinyTrainer plain = new TinyTrainer(tiny.with("gradient_checkpointing", false));
        TinyTrainer saving = new TinyTrainer(tiny.with("gradient_checkpointing", true))) {
      plainPeak = activations(plain);
      peak = activations(saving);
      assertThat(saving.timeless()).isEqualTo(plain.timeless());
      assertThat(saving.unet()).isEqualTo(plain.unet());
      assertThat(saving.text()).isEqualTo(plain.text());
    }
    assertThat(peak).isLessThan(plainPeak / 2);
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void shouldLearnTheSameBitsWhenGradientsArePassedOn(boolean checkpointing) {
    tiny.with("train_batch_size", 2)
        .with("max_grad_norm", 0)
        .with("stop_text_encoder", 0.5)
        .with("num_train_epochs", 2)
        .without("max_train_steps")
        .with("gradient_checkpointing", checkpointing);
    try (TinyTrainer plain = new TinyTrainer(tiny);
        TinyTrainer passing = new TinyTrainer(tiny.with("fused_backward_pass", true))) {
      long gradients =
          4
              * (plain.model.parameters(Component.UNET).flatCount()
                  + plain.model.parameters(Component.TEXT_ENCODER).flatCount());
      assertThat(passing.run.meter().liveBytes())
          .isEqualTo(plain.run.meter().liveBytes() - gradients);
      plain.train();
      passing.train();
      assertThat(passing.unet()).isEqualTo(plain.unet());
      assertThat(passing.text()).isEqualTo(plain.text());
      for (int i = 0; i < plain.reports.size(); i++) {
        assertThat(passing.reports.get(i).losses()).isEqualTo(plain.reports.get(i).losses());
        assertThat(passing.reports.get(i).gradientNorm())
            .isCloseTo(plain.reports.get(i).gradientNorm(), withinPercentage(1e-4));
      }
    }
  }

  @Test
  void shouldGoOnExactlyWithMomentsOf8Bits() {
    tiny.with("use_8bit_adam", true).with("train_text_encoder", true);
    Path checkpoint = folder.resolve("checkpoint-2");
    try (TinyTrainer whole = new TinyTrainer(tiny).train();
        TinyTrainer first = new TinyTrainer(tiny).train(2);
        TinyTrainer second = new TinyTrainer(tiny)) {
      first.trainer.save(checkpoint);
      second.trainer.resume(checkpoint);
      second.train();
      assertThat(second.timeless()).isEqualTo(whole.timeless().subList(2, 4));
      assertThat(second.unet()).isEqualTo(whole.unet());
      assertThat(second.text()).isEqualTo(whole.text());
    }
    try (TinyTrainer other = new TinyTrainer(tiny.with("use_8bit_adam", false))) {
      assertThatThrownBy(() -> other.trainer.resume(checkpoint))
          .isInstanceOf(Problem.class)
          .hasMessageContaining("mean_scale F32");
    }
  }

  /** The most that steps held beyond what is held between them. */
  private static long activations(TinyTrainer trainer) {
    trainer.train(1);
    trainer.run.meter().resetPeak();
    trainer.train();
    return trainer.run.meter().peakBytes() - trainer.run.meter().liveBytes();
  }
}
