package dreambooth4j.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class WrapTest {
  @Test
  void shouldBreakBetweenWordsAndIndentWhatFollows() {
    assertThat(Wrap.words("warning: the run does not fit into memory", 18))
        .isEqualTo("warning: the run\n  does not fit\n  into memory");
    assertThat(Wrap.words("  not used: 3, no caption file", 20))
        .isEqualTo("  not used: 3, no\n    caption file");
  }

  @Test
  void shouldLeaveLinesThatFitAndWordsThatNoLineHolds() {
    assertThat(Wrap.words("as  it was", 10)).isEqualTo("as  it was");
    assertThat(Wrap.words("saved /a/folder/of/a/long/name here", 12))
        .isEqualTo("saved\n  /a/folder/of/a/long/name\n  here");
    assertThat(Wrap.words("\u001b[31merror: no\u001b[0m", 9)).doesNotContain("\n");
  }

  @Test
  void shouldBreakWhatIsPrintedToATerminal() {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    PrintStream terminal = new PrintStream(bytes, true, StandardCharsets.UTF_8);
    PrintWriter out = Wrap.around(terminal, 12);
    out.printf("one two %s four", "three");
    out.println();
    out.print("and no end");
    out.close();
    assertThat(bytes.toString(StandardCharsets.UTF_8))
        .isEqualTo("one two\n  three four\nand no end");
  }
}
