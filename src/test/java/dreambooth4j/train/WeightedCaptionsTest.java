package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dreambooth4j.Problem;
import dreambooth4j.data.Concept;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import dreambooth4j.pipeline.PromptEncoder;
import dreambooth4j.pipeline.TextEncoding;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Brackets in captions weigh words as those in prompts do, where that is asked for. */
class WeightedCaptionsTest {
  private static final String CAPTION = "sks, (red scarf:1.5), [toy] \\(blue\\)";

  @TempDir private Path folder;

  @SuppressWarnings("NullAway.Init")
  private TinyRun tiny;

  @BeforeEach
  void pictures() throws IOException {
    tiny = new TinyRun(folder).withoutClass().with("max_train_steps", 1);
    for (int i = 0; i < 5; i++) {
      Files.writeString(tiny.pictures().resolve("p" + i + ".txt"), CAPTION.replace("sks, ", ""));
    }
  }

  private static String prompt(TinyTrainer trainer) {
    return Concept.scanAll(trainer.config).get(0).pictures().get(0).instancePrompt();
  }

  private static float[] cached(TinyTrainer trainer) {
    Tensor states = trainer.caches.prompts().get(prompt(trainer)).hiddenStates();
    return states.toFloats();
  }

  @Test
  void shouldTrainOnWhatGenerateIsToldOfTheSameText() {
    tiny.with("weighted_captions", true);
    try (TinyTrainer trainer = new TinyTrainer(tiny);
        Arena arena = Arena.open("prompt")) {
      assertThat(prompt(trainer)).isEqualTo(CAPTION);
      TextEncoding ofGenerate = TextEncoding.USUAL.weighted(true);
      float[] expected =
          new PromptEncoder(trainer.model, ofGenerate)
              .encode(arena, List.of(CAPTION))
              .hiddenStates()
              .toFloats();
      float[] plain =
          new PromptEncoder(trainer.model, TextEncoding.USUAL)
              .encode(arena, List.of("sks, red scarf, toy (blue)"))
              .hiddenStates()
              .toFloats();
      assertThat(cached(trainer)).isEqualTo(expected).isNotEqualTo(plain);
      assertThat(trainer.train().reports).hasSize(1);
    }
  }

  @Test
  void shouldReadBracketsAsTheyStandUnlessAsked() {
    try (TinyTrainer trainer = new TinyTrainer(tiny);
        Arena arena = Arena.open("prompt")) {
      assertThat(prompt(trainer)).isEqualTo("sks, (red scarf:1.5), [toy] (blue)");
      float[] expected =
          new PromptEncoder(trainer.model, TextEncoding.USUAL)
              .encode(arena, List.of("sks, (red scarf:1.5), [toy] (blue)"))
              .hiddenStates()
              .toFloats();
      assertThat(cached(trainer)).isEqualTo(expected);
    }
  }

  @Test
  void shouldRefuseWeightsOfWhatTrains() {
    tiny.with("weighted_captions", true).with("train_text_encoder", true);
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> tiny.config())
        .withMessageContaining("as train_text_encoder does here: leave out weighted_captions,")
        .withMessageContaining("or leave out train_text_encoder");
  }
}
