package dreambooth4j;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class PrintableTest {
  @Test
  void shouldEscapeWhatMovesTheTerminalOrTurnsTheText() {
    assertThat(Printable.line("a\u001b[2Jb\u0007\u009bc\u202Egnp.exe\n\td"))
        .isEqualTo("a\\u001b[2Jb\\u0007\\u009bc\\u202egnp.exe\\u000a\\u0009d");
    assertThat(Printable.text("two\n\tlines\r")).isEqualTo("two\n\tlines\\u000d");
    assertThat(Printable.line("lone \ud83d here")).isEqualTo("lone \\ud83d here");
  }

  @Test
  void shouldLeaveWordsOfEveryLanguageAlone() {
    String words = "Grüße, 日本, עברית, \uD83D\uDE00";
    assertThat(Printable.line(words)).isSameAs(words);
  }

  @Test
  void shouldMakeEveryProblemSafeToPrint() {
    assertThat(Problem.data("\u001b]0;title\u0007.png is no picture"))
        .hasMessage("\\u001b]0;title\\u0007.png is no picture");
  }

  @Test
  void shouldWriteNumbersWithAMinusSignAndNeverMinusZero() {
    assertThat(Printable.number(-0.25, 2)).isEqualTo("\u22120.25");
    assertThat(Printable.number(-0.001, 2)).isEqualTo("0.00");
    assertThat(Printable.number(0.5, 3)).isEqualTo("0.500");
  }
}
