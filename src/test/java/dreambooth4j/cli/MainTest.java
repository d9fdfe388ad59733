package dreambooth4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class MainTest {
  private static final String STACK_TRACE = "\tat ";

  @Test
  void shouldRefuseACommandThatItDoesNotKnow() {
    Ran ran = Ran.of("generat");

    assertThat(ran.exitCode()).isEqualTo(2);
    assertThat(ran.err())
        .startsWith("error: there is no command generat. Did you mean generate?")
        .doesNotContain(STACK_TRACE);
  }

  @Test
  void shouldAskForACommand() {
    Ran ran = Ran.of();
    assertThat(ran.exitCode()).isEqualTo(2);
    assertThat(ran.err()).startsWith("error: a command is missing: one of train, class-images, ");
  }

  @ParameterizedTest
  @ValueSource(strings = {"train", "generate", "inspect", "verify", "doctor"})
  void shouldExplainEachCommand(String command) {
    Ran ran = Ran.of(command, "--help");

    assertThat(ran.exitCode()).isZero();
    assertThat(ran.out()).startsWith("Usage: dreambooth " + command);
  }

  @ParameterizedTest
  @ValueSource(strings = {"inspect", "class-images"})
  void shouldLeaveKeysOfTrainingOutOfTheHelpOfOthers(String command) {
    String help = Ran.of(command, "--help").out();
    assertThat(help)
        .contains("--instance_data_dir", "--num_class_images_per", "--output_dir")
        .contains("The other keys of train are taken too")
        .doesNotContain("--learning_rate", "--mixed_precision", "--use_8bit_adam");
    Ran taken = Ran.of(command, "--learning_rate", "1e-4");
    assertThat(taken.err()).contains("instance_data_dir is missing").doesNotContain("no option");
  }

  @Test
  void shouldSayNoMoreThanWhatWasMeantOfAMisspeltCommand() {
    Ran ran = Ran.of("trian");
    assertThat(ran.exitCode()).isEqualTo(2);
    assertThat(ran.err()).contains("Did you mean train?").endsWith("--help\n");
    assertThat(ran.err().lines()).hasSizeLessThan(5);
  }

  @Test
  void shouldTakeHyphensForUnderscoresInEveryCommand() {
    Ran ran = Ran.of("train", "--dry_run", "--max-train-steps=many");
    assertThat(ran.err()).contains("max_train_steps").contains("many");
    assertThat(ran.err()).doesNotContain("no option");
    ran = Ran.of("inspect", "--Instance-data", "x");
    assertThat(ran.err())
        .isEqualTo(
            """
            error: there is no option --Instance-data. Did you mean --instance_data_dir?
            See dreambooth inspect --help
            """);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      textBlock =
          """
          train --max_trian_steps 5  | there is no option --max_trian_steps. Did you mean --max_train_steps?
          train --max_trian_steps=5  | there is no option --max_trian_steps. Did you mean --max_train_steps?
          generate --Steps 3 a b     | there is no option --Steps. Did you mean --steps?
          train -x                   | there is no option -x
          help                       | there is no command help
          generate model sks man     | 'man' is one argument too many; words that belong together are put in quotes
          """)
  void shouldSayInOneSentenceWhatIsWrongWithACommandLine(String line, String message) {
    Ran ran = Ran.of(line.split(" ", -1));
    assertThat(ran.exitCode()).isEqualTo(2);
    assertThat(ran.err().lines().findFirst()).hasValue("error: " + message);
  }

  @Test
  void shouldShowAStackTraceOnlyWhenAskedTo() {
    Ran plain = Ran.of("generate", "no/such/model", "cat");
    Ran verbose = Ran.of("generate", "no/such/model", "cat", "-v");

    assertThat(plain.err()).startsWith("error: ").doesNotContain(STACK_TRACE);
    assertThat(verbose.err()).startsWith("error: ").contains(STACK_TRACE);
    assertThat(verbose.exitCode()).isEqualTo(plain.exitCode()).isEqualTo(3);
  }
}
