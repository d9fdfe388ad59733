package dreambooth4j.report;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.FailingFiles;
import dreambooth4j.train.Losses;
import dreambooth4j.train.RunListener;
import dreambooth4j.train.Trainer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RunReportTest {
  private static final int STEPS = 3;

  @TempDir Path folder;

  private final ByteArrayOutputStream said = new ByteArrayOutputStream();

  /** What a run of some steps tells; the lines that are warnings. */
  private long warnings(Path output) {
    said.reset();
    PrintStream err = new PrintStream(said, true, StandardCharsets.UTF_8);
    try (RunReport report = new RunReport(err, output, List.of(), null, false)) {
      report.ready(new RunListener.Beginning(0, STEPS, 1, "float32", false, () -> 0));
      for (int step = 1; step <= STEPS; step++) {
        Losses losses = new Losses(1, 1, null);
        report.step(new Trainer.StepReport(step, 1, losses, 1, 1e-4, 1, 1, 0.1, null));
      }
    }
    String text = said.toString(StandardCharsets.UTF_8);
    assertThat(text).contains("step 3/3");
    return text.lines()
        .filter(line -> line.startsWith("warning: metrics cannot be written"))
        .count();
  }

  @Test
  void shouldGoOnWhereMetricsCannotBeOpened() throws IOException {
    Path file = Files.createFile(folder.resolve("file"));
    assertThat(warnings(file)).isOne();
    assertThat(warnings(folder)).isZero();
    assertThat(folder.resolve("metrics.jsonl")).content().hasLineCount(STEPS);
  }

  @Test
  void shouldGoOnWhereverMetricsCannotBeWritten() throws IOException {
    FailingFiles counting = new FailingFiles(FailingFiles.How.ERROR, 0);
    assertThat(warnings(counting.path(folder))).isZero();
    for (FailingFiles.How how : List.of(FailingFiles.How.ERROR, FailingFiles.How.FULL)) {
      for (int call = 1; call <= counting.calls(); call++) {
        FailingFiles failing = new FailingFiles(how, call);
        assertThat(warnings(failing.path(folder))).as(failing.failed()).isLessThan(2);
      }
    }
  }
}
