package dreambooth4j.data;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.random.CounterRandom;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;
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

  /** The rules of {@code create_text}, in the order in which they apply. */
  @ParameterizedTest(name = "{0}")
  @CsvSource(
      delimiter = '|',
      nullValues = "-",
      emptyValue = "",
      textBlock =
          """
          tokens are whole words                   | sks | man | sksy manly        | sks, sksy manly    | man, sksy manly
          tokens are of either case                | sks | man | SKS, Man          | SKS, Man           | Man
          class: both: subject goes                | sks | man | hat, sks, man     | hat, sks, man      | hat, man
          class: both: every time                  | sks | man | sks, man, sks hat | sks, man, sks hat  | man, hat
          class: subject alone becomes the class   | sks | man | sks in a hat      | sks in a hat       | man in a hat
          class: every time                        | sks | man | sks and sks       | sks and sks        | man and man
          class: neither: the class goes before    | sks | man | sunset            | sks, sunset        | man, sunset
          instance: the class becomes the subject  | sks | man | man in a hat      | sks in a hat       | man in a hat
          instance: its article goes: a            | sks | man | a man             | sks                | a man
          instance: its article goes: the          | sks | man | see the man       | see sks            | see the man
          instance: its article goes: an           | sks | ox  | an ox             | sks                | an ox
          instance: only as it is written          | sks | man | A man, a Man      | A sks, a sks       | A man, a Man
          instance: only a whole article           | sks | man | extra man         | extra sks          | extra man
          one token: instance always prefixed      | sks | -   | sks, hat          | sks, sks, hat      | hat
          one token: class always prefixed         | -   | man | man, hat          | man, hat           | man, man, hat
          no token: left alone                     | -   | -   | a man, sks        | a man, sks         | a man, sks
          runs of spaces collapse                  | sks | man | sks,  a   hat     | sks, a hat         | man, a hat
          backslashes go                           | sks | man | sks \\(a\\)       | sks (a)            | man (a)
          no tag is left empty                     | sks | man | sks, man, , hat,  | sks, man, hat      | man, hat
          """)
  void shouldFollowEachRule(
      String rule,
      @Nullable String instanceToken,
      @Nullable String classToken,
      String caption,
      String instancePrompt,
      String classCaption) {
    Prompts prompts =
        new Prompts(
            instanceToken == null ? "" : instanceToken,
            classToken == null ? "" : classToken,
            "[filewords]",
            "[filewords]");
    assertThat(prompts.instancePrompt(caption)).isEqualTo(instancePrompt);
    assertThat(prompts.classCaption(caption)).isEqualTo(classCaption);
  }

  @ParameterizedTest(name = "{0}")
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          Greek            | Νίκος      | άνδρας  | ΝΊΚΟΣ, καπέλο          | ΝΊΚΟΣ, καπέλο           | άνδρας, καπέλο
          Cyrillic         | Иван       | мужчина | иван и Иванов          | иван и Иванов           | мужчина и Иванов
          accents apart    | Élodie     | femme   | Élodie, plage    | Élodie, plage           | femme, plage
          a mark follows   | e          | man     | ét, e            | ét, e                   | ét, man
          German           | Jürgen     | Mann    | JÜRGEN am Fluß         | JÜRGEN am Fluß          | Mann am Fluß
          Arabic           | سامي       | رجل     | سامي، في البحر         | سامي، في البحر          | رجل، في البحر
          Hebrew           | דוד        | איש     | דוד בכובע              | דוד בכובע               | איש בכובע
          Devanagari       | राम        | आदमी    | राम, रामा              | राम, रामा               | आदमी, रामा
          Chinese          | 小明       | 男人    | 小明在雪地里           | 小明在雪地里            | 男人在雪地里
          Chinese, class   | 小明       | 男人    | 一个男人在海边         | 一个小明在海边          | 一个男人在海边
          Japanese         | 太郎       | 男性    | 雪の中の太郎さん       | 雪の中の太郎さん        | 雪の中の男性さん
          Katakana         | サンタ     | 男      | サンタの家, サンタクロース | サンタの家, サンタクロース | 男の家, サンタクロース
          Thai             | สมชาย      | ผู้ชาย  | สมชายใส่หมวก           | สมชายใส่หมวก            | ผู้ชายใส่หมวก
          Latin beside Han | sks        | 男人    | sks在海边              | sks在海边               | 男人在海边
          Korean           | 철수       | 남자    | 철수, 모자             | 철수, 모자              | 남자, 모자
          emoji            | 🎅         | man     | 🎅, hat                | 🎅, hat                 | man, hat
          emoji with tone  | 🎅         | man     | 🎅🏽, hat               | 🎅, 🎅🏽, hat             | man, 🎅🏽, hat
          punctuation      | <sks-1>    | man     | photo of <SKS-1>, hat  | photo of <SKS-1>, hat   | photo of man, hat
          no letters       | *          | man     | a photo of *.          | a photo of *.           | a photo of man.
          hyphen           | Mary-Ann   | woman   | mary-ann and Mary      | mary-ann and Mary       | woman and Mary
          apostrophe       | D'Arcy     | man     | D'Arcy's hat           | D'Arcy's hat            | man's hat
          several words    | John Q. Public | man | john  q. public, tie   | john q. public, tie     | man, tie
          """)
  void shouldKnowWordsInEveryScript(
      String script,
      String instanceToken,
      String classToken,
      String caption,
      String instancePrompt,
      String classCaption) {
    Prompts prompts = new Prompts(instanceToken, classToken, "[filewords]", "[filewords]");
    assertThat(prompts.instancePrompt(caption)).isEqualTo(instancePrompt);
    assertThat(prompts.classCaption(caption)).isEqualTo(classCaption);
  }

  @Test
  void shouldAlwaysPrefixWhereOnlyOneTokenIsSet() {
    Prompts instanceOnly = new Prompts("sks", "", "[filewords]", "[filewords]");
    assertThat(instanceOnly.instancePrompt("sks, hat")).isEqualTo("sks, sks, hat");
    assertThat(instanceOnly.classCaption("sks, hat")).isEqualTo("hat");
    assertThat(instanceOnly.classCaption("SKS")).isEmpty();
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

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          [filewords]                | sks, man, hat | sks, man, hat                 | man, hat
          [filewords], 4k            | man, hat      | sks, hat, 4k                  | man, hat, 4k
          photo of [filewords]       | a man         | photo of sks                  | photo of a man
          photo of a [filewords], 4k | man in a hat  | photo of sks in a hat, 4k     | photo of a man in a hat, 4k
          [filewords], [filewords]   | sks hat       | sks hat, sks hat              | man hat, man hat
          a sks man, [filewords]     | hat           | a sks man, hat                | a man, hat
          x[filewords]x              | man           | sks, xmanx                    | man, xmanx
          a man, 4k                  | sks, hat      | sks, 4k                       | a man, 4k
          [FILEWORDS]                | hat           | sks, [FILEWORDS]              | man, [FILEWORDS]
          """)
  void shouldFillTheCaptionInAnywhereInATemplate(
      String template, String caption, String instancePrompt, String classCaption) {
    Prompts prompts = new Prompts("sks", "man", template, template);
    assertThat(prompts.instancePrompt(caption)).isEqualTo(instancePrompt);
    assertThat(prompts.classCaption(caption)).isEqualTo(classCaption);
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
    String shuffled = Prompts.shuffleTags(prompt, 1, CounterRandom.at(5, "tags", 1, 0));
    assertThat(shuffled).startsWith("santa, ").isNotEqualTo(prompt);
    assertThat(List.of(shuffled.split(", "))).containsExactlyInAnyOrder(prompt.split(", "));
    assertThat(Prompts.shuffleTags("santa", 1, CounterRandom.at(5, "tags", 1, 0)))
        .isEqualTo("santa");
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
      {"a a", "b a"},
      {"小明", "男人"},
      {"明小", "小"},
      {"サンタ", "男"},
      {"สม", "ชาย"},
      {"<a>", "a"},
      {"*", "man"},
      {"🎅", "man"},
      {"e\u0301", "e"},
      {"D'A", "o'o"},
      {"a-b", "x-y"},
      {"sks", ""},
      {"a b", ""},
      {"小明", ""}
    };
    String[] pieces = {
      " ", ",", ", ", "\\", "a", "b", "c", "sks", "SKS", "man", "manhole", "Arnold", "s.s", "sxs",
      "m+n", "élan", "ÉLAN", "Σ", "σ", "\t", "\n", "\u00a0", "$1", "(", "-", "_", "1", "the", "an",
      "小", "明", "小明", "男", "人", "サンタ", "ー", "の", "สม", "ชาย", "\u0e34", "<", ">", "<a>", "*", "**",
      "🎅", "🏽", "\u200d", "e", "\u0301", "é", "'", "D'A", "o'o", "x-y", "，", "\u3000", "\u1100",
      "\u1161"
    };
    String[] templates = {
      "[filewords]",
      "[filewords]",
      "photo of [filewords], 4k",
      "a [filewords][filewords]",
      "a, ,b",
      "sks man ,[filewords],"
    };
    SplittableRandom random = new SplittableRandom(20261122);
    for (int trial = 0; trial < 100_000; trial++) {
      String[] pair = tokens[random.nextInt(tokens.length)];
      StringBuilder caption = new StringBuilder();
      for (int n = random.nextInt(12); n > 0; n--) {
        caption.append(pieces[random.nextInt(pieces.length)]);
        caption.append(random.nextInt(3) == 0 ? "" : " ");
      }
      String template = templates[random.nextInt(templates.length)];
      Prompts prompts = new Prompts(pair[0], pair[1], "[filewords]", template);
      String result = prompts.classCaption(caption.toString());
      String seen =
          "trial %d: %s / %s, %s: <%s>".formatted(trial, pair[0], pair[1], template, caption);
      assertThat(Prompts.mentions(result, pair[0])).as(seen).isFalse();
      assertThat(Prompts.mentions(result, pair[1])).as(seen).isEqualTo(!pair[1].isEmpty());
      assertThat(result.isEmpty() ? new String[0] : result.split(",", -1))
          .as(seen)
          .noneMatch(String::isBlank);
      assertThat(result).as(seen).doesNotContain("  ").isEqualTo(result.strip());
      Prompts plain = new Prompts(pair[0], pair[1], "[filewords]", "[filewords]");
      assertThat(plain.classCaption(result).toLowerCase(Locale.ROOT))
          .as(seen)
          .isEqualTo(result.toLowerCase(Locale.ROOT));
    }
  }
}
