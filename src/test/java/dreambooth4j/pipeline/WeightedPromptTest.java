package dreambooth4j.pipeline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import dreambooth4j.model.Conditioning;
import dreambooth4j.train.TinyRun;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.ModelFolder;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Weights of prompts, as A1111's web UI reads and applies them. */
class WeightedPromptTest {
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          normal text            | normal text*1
          an (important) word    | an *1;important*1.1; word*1
          (unbalanced            | unbalanced*1.1
          \\(literal\\]          | (literal]*1
          (unnecessary)(parens)  | unnecessaryparens*1.1
          a [quiet] word         | a *1;quiet*0.90909; word*1
          a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))). | a *1;house*1.573; *1.1;on*1; a *1.1;hill*0.55;, sun, *1.1;sky*1.4641;.*1.1
          ratio 16:9             | ratio 16:9*1
          (a:b)                  | a:b*1.1
          x) y]                  | x) y]*1
          """)
  void shouldReadBracketsAsA1111(String prompt, String pieces) {
    String read =
        WeightedPrompt.parse(prompt).pieces().stream()
            .map(
                each ->
                    each.text()
                        + "*"
                        + (Math.round(each.weight() * 1e5) / 1e5 + "").replaceFirst("\\.0$", ""))
            .collect(Collectors.joining(";"));
    assertThat(read).isEqualTo(pieces);
  }

  @ParameterizedTest
  @ValueSource(strings = {"saber (fate), [x], a\\b", "(a:1.2)", "plain"})
  void shouldTakeAnEscapedTextAsItStands(String text) {
    WeightedPrompt read = WeightedPrompt.parse(WeightedPrompt.escaped(text));
    assertThat(read.plain()).isEqualTo(text);
    assertThat(read.isPlain()).isTrue();
  }

  private static float[] states(PromptEncoder encoder, Arena arena, String prompt) {
    Conditioning<Tensor> encoded = encoder.encode(arena, List.of(prompt));
    float[] values = encoded.hiddenStates().toFloats();
    Conditioning.release(encoded);
    return values;
  }

  @Test
  void shouldMultiplyHiddenStatesAndKeepTheirMean() {
    try (Arena arena = Arena.open("test");
        StableDiffusion model =
            StableDiffusion.load(
                arena, ModelFolder.open(TinyRun.MODEL, null), Component.TEXT_ENCODER)) {
      PromptEncoder plain = new PromptEncoder(model, TextEncoding.USUAL);
      PromptEncoder weighted = new PromptEncoder(model, TextEncoding.USUAL.weighted(true));
      float[] usual = states(plain, arena, "a red hat");
      assertThat(states(weighted, arena, "a red hat")).isEqualTo(usual);
      float[] found = states(weighted, arena, "a (red:1.5) hat");
      int width = usual.length / 77;
      int red = model.tokenizer().words("a").length + 1;
      int hat = red + model.tokenizer().words("red").length;
      double before = 0;
      double after = 0;
      for (int i = 0; i < usual.length; i++) {
        before += usual[i];
        after += usual[i] * (i / width >= red && i / width < hat ? 1.5 : 1);
      }
      for (int i = 0; i < usual.length; i++) {
        double weight = i / width >= red && i / width < hat ? 1.5 : 1;
        assertThat((double) found[i])
            .isCloseTo(
                usual[i] * weight * before / after, within(1e-4 + 1e-4 * Math.abs(found[i])));
      }
      assertThat(states(plain, arena, "a (red:1.5) hat")).isNotEqualTo(found);
    }
  }
}
