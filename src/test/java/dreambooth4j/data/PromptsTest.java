package dreambooth4j.data;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.random.CounterRandom;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PromptsTest {
  private static final Prompts ARNOLD =
      new Prompts("Arnold Schwarzenegger", "man", "[filewords]", "[filewords]");

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          Arnold Schwarzenegger, man, sunglasses, black coat, muscular, scene from Terminator | man, sunglasses, black coat, muscular, scene from Terminator
          Arnold Schwarzenegger, man, suit, red tie, smiling | man, suit, red tie, smiling
          Arnold Schwarzenegger, muscular, smiling, man, flexing, black and white | muscular, smiling, man, flexing, black and white
          Arnold Schwarzenegger, man, sunglasses, black coat | man, sunglasses, black coat
          Arnold Schwarzenegger, muscular | man, muscular
          sunset | man, sunset
          arnold schwarzenegger smiling | man smiling
          a manhole | man, a manhole
          a man in a hat | a man in a hat
          a photo of ARNOLD SCHWARZENEGGER, the MAN | a photo of , the MAN
          Arnold  Schwarzenegger, hat | man, hat
          Arnold\\ Schwarzenegger, hat | man, hat
          Arnold Schwarzeneggers, hat | man, Arnold Schwarzeneggers, hat
          Arnold Schwarzenegger | man
          , ,hat,, | man,hat
          """)
  void shouldTakeTheSubjectOutOfTheClassCaption(String caption, String expected) {
    assertThat(ARNOLD.classCaption(caption)).isEqualTo(expected);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          Arnold Schwarzenegger, man, suit | Arnold Schwarzenegger, man, suit
          Arnold Schwarzenegger, muscular | Arnold Schwarzenegger, muscular
          a man in a hat | Arnold Schwarzenegger in a hat
          the man and an man and a Man | Arnold Schwarzenegger and Arnold Schwarzenegger and a Arnold Schwarzenegger
          banana man | banana Arnold Schwarzenegger
          sunset | Arnold Schwarzenegger, sunset
          a manhole | Arnold Schwarzenegger, a manhole
          arnold schwarzenegger smiling | arnold schwarzenegger smiling
          a   man\twith \\(hat\\) | Arnold Schwarzenegger with (hat)
          """)
  void shouldPutTheSubjectIntoTheInstancePrompt(String caption, String expected) {
    assertThat(ARNOLD.instancePrompt(caption)).isEqualTo(expected);
  }

  @Test
  void shouldAlwaysPrefixWhereOnlyOneTokenIsSet() {
    Prompts instanceOnly = new Prompts("sks", "", "[filewords]", "[filewords]");
    assertThat(instanceOnly.instancePrompt("sks, hat")).isEqualTo("sks, sks, hat");
    assertThat(instanceOnly.classCaption("sks, hat")).isEqualTo("sks, hat");
    Prompts classOnly = new Prompts("", "man", "[filewords]", "[filewords]");
    assertThat(classOnly.instancePrompt("man, hat")).isEqualTo("man, hat");
    assertThat(classOnly.classCaption("man, hat")).isEqualTo("man, man, hat");
  }

  @Test
  void shouldUseATemplateAsItIsAndFillItsFilewords() {
    Prompts fixed = new Prompts("", "", "a photo of sks dog", "a photo of dog");
    assertThat(fixed.instancePrompt("ignored")).isEqualTo("a photo of sks dog");
    assertThat(fixed.classCaption("ignored")).isEqualTo("a photo of dog");
    Prompts filled = new Prompts("sks", "dog", "photo, [filewords], 4k", "photo, [filewords], 4k");
    assertThat(filled.instancePrompt("a dog $1")).isEqualTo("photo, sks $1, 4k");
    assertThat(filled.classCaption("sks \\ $1")).isEqualTo("photo, dog $1, 4k");
  }

  @Test
  void shouldTakeTokensLiterally() {
    Prompts odd = new Prompts("c++ (x)", "o.o", "[filewords]", "[filewords]");
    assertThat(odd.classCaption("c++ (x), hat")).isEqualTo("o.o, hat");
    assertThat(odd.instancePrompt("oxo, hat")).isEqualTo("c++ (x), oxo, hat");
    assertThat(odd.instancePrompt("O.O, hat")).isEqualTo("c++ (x), hat");
    Prompts accents = new Prompts("Élodie", "жена", "[filewords]", "[filewords]");
    assertThat(accents.classCaption("élodie, chapeau")).isEqualTo("жена, chapeau");
    assertThat(accents.classCaption("élodiee, ЖЕНА")).isEqualTo("élodiee, ЖЕНА");
  }

  @Test
  void shouldShuffleAllTagsButTheFirst() {
    String prompt = "santa, a, b, c, d, e";
    String shuffled = Prompts.shuffleTags(prompt, CounterRandom.at(5, "tags", 1, 0));
    assertThat(shuffled).startsWith("santa, ").isNotEqualTo(prompt);
    assertThat(List.of(shuffled.split(", "))).containsExactlyInAnyOrder(prompt.split(", "));
    assertThat(Prompts.shuffleTags("santa", CounterRandom.at(5, "tags", 1, 0))).isEqualTo("santa");
  }

  /** Whatever the caption: the promise on which caption-matched class images stand. */
  @Test
  void shouldKeepThePromiseOfTheClassCaptionForAnyCaption() {
    String[][] tokens = {
      {"sks", "man"},
      {"a b", "c"},
      {"b c", "a b"},
      {"Arnold man", "man"},
      {"s.s", "m+n"},
      {"élan", "Σ"},
      {"a a", "b a"}
    };
    String[] pieces = {
      " ", ",", ", ", "\\", "a", "b", "c", "sks", "SKS", "man", "manhole", "Arnold", "s.s", "sxs",
      "m+n", "élan", "ÉLAN", "Σ", "σ", "\t", "\n", "\u00a0", "$1", "(", "-", "_", "1", "the", "an"
    };
    SplittableRandom random = new SplittableRandom(20261122);
    for (int trial = 0; trial < 50_000; trial++) {
      String[] pair = tokens[random.nextInt(tokens.length)];
      StringBuilder caption = new StringBuilder();
      for (int n = random.nextInt(12); n > 0; n--) {
        caption.append(pieces[random.nextInt(pieces.length)]);
        caption.append(random.nextInt(3) == 0 ? "" : " ");
      }
      Prompts prompts = new Prompts(pair[0], pair[1], "[filewords]", "[filewords]");
      String result = prompts.classCaption(caption.toString());
      String seen = "trial %d: %s / %s: <%s>".formatted(trial, pair[0], pair[1], caption);
      assertThat(Prompts.mentions(result, pair[0])).as(seen).isFalse();
      assertThat(Prompts.mentions(result, pair[1])).as(seen).isTrue();
      assertThat(result.split(",", -1)).as(seen).noneMatch(String::isBlank);
      assertThat(result).as(seen).doesNotContain("  ").isEqualTo(result.strip());
      assertThat(prompts.classCaption(result).toLowerCase(Locale.ROOT))
          .as(seen)
          .isEqualTo(result.toLowerCase(Locale.ROOT));
    }
  }
}
