package dreambooth4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;

class NextStepsTest {
  /** The command takes each word for what it is, and the file's name has nothing to quote. */
  @ParameterizedTest
  @CsvSource({
    "out, sks dog, sks, sks.png",
    "out, sks dog, (nico), nico.png",
    "-out, -nico- a dog, --nico 2!, nico-2.png",
    "out, --steps, ..., picture.png",
    "out, a dog, $(reboot), reboot.png",
  })
  void shouldPrintALineThatCanBePasted(
      String folder, String prompt, String concept, String picture) {
    List<String> words = NextSteps.drawing(folder, prompt, concept);
    CommandLine.ParseResult parsed =
        Main.commandLine().parseArgs(words.toArray(String[]::new)).subcommand();
    assertThat(parsed.matchedOption("-o").originalStringValues()).containsExactly(picture);
    assertThat(parsed.matchedOption("-n").originalStringValues()).containsExactly("4");
    assertThat(parsed.matchedPositionals())
        .extracting(each -> each.originalStringValues().get(0))
        .containsExactly(folder.startsWith("-") ? "./" + folder : folder, prompt);
  }
}
