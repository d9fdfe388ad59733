package dreambooth4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.train.TinyRun;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is printed where both streams are a narrow terminal, as the launcher tells. */
class TerminalTest {
  private static final int COLUMNS = 50;
  private static final List<String> TERMINALS =
      List.of("dreambooth.terminal", "dreambooth.output.terminal");

  private final PrintStream realOut = System.out;
  private final PrintStream realErr = System.err;
  private final ByteArrayOutputStream said = new ByteArrayOutputStream();

  @TempDir Path folder;

  @BeforeEach
  void narrow() {
    TERMINALS.forEach(name -> System.setProperty(name, "true"));
    System.setProperty("dreambooth.columns", Integer.toString(COLUMNS));
    PrintStream stream = new PrintStream(said, true, StandardCharsets.UTF_8);
    System.setOut(stream);
    System.setErr(stream);
  }

  @AfterEach
  void release() {
    TERMINALS.forEach(System::clearProperty);
    System.clearProperty("dreambooth.columns");
    System.setOut(realOut);
    System.setErr(realErr);
  }

  private static int run(List<String> arguments) {
    return Main.run(arguments.toArray(String[]::new));
  }

  private List<String> lines() {
    return said.toString(StandardCharsets.UTF_8).lines().toList();
  }

  @Test
  void shouldBreakWhatGoesToStandardOutputBetweenWords() throws IOException {
    TinyRun tiny = new TinyRun(folder).with("instance_prompt", "a photo of sks");
    assertThat(run(tiny.arguments("inspect"))).isZero();
    List<String> warnings =
        lines().stream().dropWhile(line -> !line.equals("Warnings")).skip(1).toList();
    assertThat(warnings).isNotEmpty().allMatch(line -> line.length() <= COLUMNS);
    assertThat(String.join(" ", warnings).replaceAll(" +", " "))
        .contains("it is put into the class caption, but the instance prompt does not say");
  }

  @Test
  void shouldBreakThePlanOfADryRunToo() throws IOException {
    TinyRun tiny = new TinyRun(folder).with("max_train_steps", "1");
    assertThat(run(tiny.arguments("train", "--dry-run"))).isZero();
    assertThat(lines())
        .anyMatch(line -> line.startsWith("Memory plan for") && line.length() <= COLUMNS)
        .anyMatch(line -> line.startsWith("CPU: computed in") && line.length() <= COLUMNS);
  }

  @Test
  void shouldNotBreakALineToPaste() throws IOException {
    TinyRun tiny = new TinyRun(folder).with("max_train_steps", "1");
    tiny.with("save_sample_prompt", "sks, man, with a hat at the beach and a dog beside him");
    assertThat(run(tiny.arguments("train"))).isZero();
    assertThat(lines())
        .anyMatch(line -> line.matches("  dreambooth generate .* with a hat .* -n 4"));
  }
}
