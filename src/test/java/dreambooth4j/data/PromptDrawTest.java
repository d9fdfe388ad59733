package dreambooth4j.data;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.config.Config;
import dreambooth4j.config.ConfigReader;
import dreambooth4j.random.CounterRandom;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class PromptDrawTest {
  private static final String PROMPT = "sks, a, b, man, c, d, e";

  private static List<String> draws(String... flags) {
    Map<String, String> all = new HashMap<>(Map.of("instance_data_dir", "x"));
    all.put("instance_token", "sks");
    all.put("class_token", "man");
    for (int i = 0; i < flags.length; i += 2) {
      all.put(flags[i], flags[i + 1]);
    }
    Config config = ConfigReader.read(null, all).config();
    PromptDraw draw = new PromptDraw(config.data().captions(), config.concepts().get(0));
    List<String> prompts = new ArrayList<>();
    for (int step = 0; step < 2000; step++) {
      prompts.add(draw.draw(PROMPT, CounterRandom.at(7, "tags", step, 0)));
    }
    return prompts;
  }

  @Test
  void shouldLeaveAPromptAloneUnlessToldOtherwise() {
    assertThat(draws()).containsOnly(PROMPT);
  }

  @Test
  void shouldKeepAsManyTagsInPlaceAsItIsTold() {
    assertThat(draws("shuffle_tags", "true", "keep_tokens", "3"))
        .allMatch(prompt -> prompt.startsWith("sks, a, b, "))
        .allMatch(prompt -> prompt.split(",").length == 7)
        .anyMatch(prompt -> !prompt.equals(PROMPT));
    assertThat(draws("shuffle_tags", "true", "keep_tokens", "0"))
        .anyMatch(prompt -> !prompt.startsWith("sks"));
    assertThat(draws("shuffle_tags", "true", "keep_tokens", "99")).containsOnly(PROMPT);
  }

  @Test
  void shouldLeaveOutTagsAtTheirRateButNeverATokens() {
    List<String> prompts = draws("caption_tag_dropout_rate", "0.25", "shuffle_tags", "true");
    assertThat(prompts).allMatch(p -> p.startsWith("sks") && p.contains("man"));
    assertThat(prompts).noneMatch(p -> p.endsWith(",") || p.contains(",,"));
    double kept = prompts.stream().mapToInt(p -> p.split(",").length - 2).average().orElse(0);
    assertThat(kept / 5).isBetween(0.72, 0.78);
    assertThat(draws("caption_tag_dropout_rate", "1")).containsOnly("sks, man");
    assertThat(draws("caption_tag_dropout_rate", "1", "keep_tokens", "2"))
        .containsOnly("sks, a, man");
  }

  @Test
  void shouldLeaveOutWholePromptsAtTheirRate() {
    List<String> prompts = draws("caption_dropout_rate", "0.1");
    assertThat(prompts).containsOnly("", PROMPT);
    assertThat(prompts.stream().filter(String::isEmpty).count()).isBetween(150L, 250L);
  }

  @Test
  void shouldDrawTheSameAgain() {
    String[] flags = {"caption_tag_dropout_rate", "0.5", "shuffle_tags", "true"};
    assertThat(draws(flags)).isEqualTo(draws(flags));
  }
}
