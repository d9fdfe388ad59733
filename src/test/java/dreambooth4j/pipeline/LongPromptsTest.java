package dreambooth4j.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.model.Tokenizer;
import dreambooth4j.weights.ComponentFiles;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class LongPromptsTest {
  private final Tokenizer tokenizer =
      Tokenizer.open(ComponentFiles.in(Path.of("weights/sprites64/tokenizer")));

  @AfterEach
  void close() {
    tokenizer.close();
  }

  private LongPrompts prompts(int maxTokenLength) {
    return new LongPrompts(tokenizer, new TextEncoding(1, maxTokenLength));
  }

  @Test
  void shouldSayNothingOfPromptsThatAreReadWhole() {
    LongPrompts prompts = prompts(75);
    prompts.add("a", "man ".repeat(75));
    prompts.add("b", "");
    assertThat(prompts.notes("max_token_length: ", 5)).isEmpty();
  }

  @Test
  void shouldSayWhereHowLongWhatIsCutOffAndWhatHelps() {
    LongPrompts prompts = prompts(75);
    prompts.add("01.jpg: its instance prompt", "man ".repeat(75) + "red hat, blue sky");
    prompts.add("02.jpg: its instance prompt", "man ".repeat(75) + "red hat, blue sky");
    assertThat(prompts.notes("max_token_length: ", 5))
        .containsExactly(
            "01.jpg: its instance prompt has 80 tokens, of which 75 are read; cut off: red hat,"
                + " blue sky",
            "max_token_length: 150 reads it whole");
  }

  @Test
  void shouldAdviseOnTheLongestAndCountWhatItDoesNotShow() {
    LongPrompts prompts = prompts(75);
    for (int i = 0; i < 4; i++) {
      prompts.add("prompt " + i, "man ".repeat(140 + 10 * i));
    }
    assertThat(prompts.notes("--max-token-length ", 2))
        .hasSize(4)
        .satisfies(notes -> assertThat(notes.get(0)).startsWith("prompt 0 has 140 tokens"))
        .endsWith(
            "... and 2 prompts more; dreambooth inspect shows all",
            "--max-token-length 225 reads them whole");
  }

  @Test
  void shouldSayWhereNoSettingHelps() {
    LongPrompts prompts = prompts(225);
    prompts.add("a", "man ".repeat(225) + "🎅".repeat(300));
    assertThat(prompts.notes("max_token_length: ", 5))
        .hasSize(2)
        .endsWith("shorten it: max_token_length: 225 is the most that can be read")
        .first()
        .asString()
        .endsWith("cut off: " + "🎅".repeat(100) + "…");
  }
}
