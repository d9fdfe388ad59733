package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.engine.Arena;
import dreambooth4j.pipeline.PromptEncoder;
import dreambooth4j.pipeline.TextEncoding;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Training that hides the padding of prompts from the text encoder; goldens hold its numbers. */
class MaskedPaddingTest {
  private static final String KEY = "text_encoder_use_attention_mask";

  private static final Offset<Float> CLOSE = Offset.offset(1e-5f);

  @TempDir private Path folder;

  @SuppressWarnings("NullAway.Init")
  private TinyRun tiny;

  @BeforeEach
  void pictures() throws IOException {
    tiny = new TinyRun(folder).withPaintedClassImages().with("max_train_steps", 2);
  }

  private static List<Double> losses(TinyTrainer trainer) {
    return trainer.train().reports.stream().map(each -> each.losses().total()).toList();
  }

  @ParameterizedTest
  @ValueSource(strings = {"seed=1", "train_text_encoder=true mixed_precision=bf16"})
  void shouldTrainOnOtherStatesAndTheSameWhetherKeptOrComputedAgain(String keys) {
    tiny.withOptions(keys).with("gradient_checkpointing", false);
    try (TinyTrainer plain = new TinyTrainer(tiny);
        TinyTrainer masked = new TinyTrainer(tiny.with(KEY, true));
        TinyTrainer again = new TinyTrainer(tiny.with("gradient_checkpointing", true))) {
      List<Double> expected = losses(masked);
      assertThat(expected).isNotEqualTo(losses(plain)).doesNotContain(Double.NaN);
      assertThat(losses(again)).isEqualTo(expected);
      assertThat(again.text()).isEqualTo(masked.text());
      long plan = TinyRun.forecast(tiny.config(), Long.MAX_VALUE).plan().total();
      assertThat(plan).isPositive();
    }
  }

  /** What stands before a prompt's end is said as ever, for a token sees those before it alone. */
  @Test
  void shouldChangeWhatIsSaidOfPaddingAlone() {
    try (TinyTrainer trainer = new TinyTrainer(tiny.with(KEY, true));
        Arena arena = Arena.open("prompts")) {
      TextEncoding masking = TextEncoding.ofCaptions(trainer.config);
      assertThat(masking.masked()).isTrue();
      float[] masked = said(trainer, arena, masking);
      float[] plain = said(trainer, arena, TextEncoding.ofCaptionsDrawn(trainer.config));
      int width = masked.length / 77;
      int end = (1 + trainer.model.tokenizer().words("sks man").length) * width;
      for (int i = 0; i < masked.length; i++) {
        if (i < end + width) {
          assertThat(masked[i]).as("number %d", i).isCloseTo(plain[i], CLOSE);
        }
      }
      assertThat(masked[masked.length - 1]).isNotCloseTo(plain[masked.length - 1], CLOSE);
    }
  }

  private static float[] said(TinyTrainer trainer, Arena arena, TextEncoding how) {
    return new PromptEncoder(trainer.model, how)
        .encode(arena, List.of("sks man"))
        .hiddenStates()
        .toFloats();
  }
}
