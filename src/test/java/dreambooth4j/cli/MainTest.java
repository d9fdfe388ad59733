package dreambooth4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MainTest {
  private static final String STACK_TRACE = "\tat ";

  @Test
  void shouldRefuseACommandThatItDoesNotKnow() {
    Ran ran = Ran.of("generat");

    assertThat(ran.exitCode()).isEqualTo(2);
    assertThat(ran.err()).contains("'generat'", "generate").doesNotContain(STACK_TRACE);
  }

  @Test
  void shouldAskForACommand() {
    assertThat(Ran.of().exitCode()).isEqualTo(2);
  }

  @ParameterizedTest
  @ValueSource(strings = {"train", "generate", "inspect", "verify", "doctor"})
  void shouldExplainEachCommand(String command) {
    Ran ran = Ran.of(command, "--help");

    assertThat(ran.exitCode()).isZero();
    assertThat(ran.out()).startsWith("Usage: dreambooth " + command);
  }

  @Test
  void shouldSayNoMoreThanWhatWasMeantOfAMisspeltCommand() {
    Ran ran = Ran.of("trian");
    assertThat(ran.exitCode()).isEqualTo(2);
    assertThat(ran.err()).contains("Did you mean: dreambooth train").endsWith("--help\n");
    assertThat(ran.err().lines()).hasSizeLessThan(5);
  }

  @Test
  void shouldTakeHyphensForUnderscoresInEveryCommand() {
    Ran ran = Ran.of("train", "--dry_run", "--max-train-steps=many");
    assertThat(ran.err()).contains("max_train_steps").contains("many");
    assertThat(ran.err()).doesNotContain("Unknown option");
    ran = Ran.of("inspect", "--Instance-data", "x");
    assertThat(ran.err()).contains("Unknown option");
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
