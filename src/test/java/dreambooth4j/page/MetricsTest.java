package dreambooth4j.page;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MetricsTest {
  @TempDir Path folder;

  @SuppressWarnings("NullAway.Init")
  private Metrics metrics;

  @BeforeEach
  void open() {
    metrics = new Metrics(folder);
  }

  private void append(String text) throws IOException {
    Files.writeString(
        folder.resolve("metrics.jsonl"),
        text,
        StandardOpenOption.CREATE,
        StandardOpenOption.APPEND);
  }

  @Test
  void shouldReadOnFromWhereItStopped() throws IOException {
    assertThat(metrics.update()).isFalse();
    append("{\"step\":1,\"loss\":3}\n{\"step\":2,\"lo");
    assertThat(metrics.update()).isTrue();
    assertThat(metrics.steps()).containsExactly(1);
    assertThat(metrics.update()).isFalse();
    append("ss\":2.5,\"grad_norm\":null}\n");
    assertThat(metrics.update()).isTrue();
    assertThat(metrics.steps()).containsExactly(1, 2);
    assertThat(metrics.column("loss")).containsExactly(3, 2.5);
    assertThat(metrics.column("grad_norm")).containsOnly(Double.NaN);
  }

  @Test
  void shouldPutNumbersOfOneStepIntoOneRow() throws IOException {
    append("{\"step\":0,\"validation_loss\":9}\n{\"step\":5,\"loss\":1}\n");
    append("{\"step\":5,\"validation_loss\":8}\n");
    metrics.update();
    assertThat(metrics.steps()).containsExactly(0, 5);
    assertThat(metrics.column("loss")).containsExactly(Double.NaN, 1);
    assertThat(metrics.column("validation_loss")).containsExactly(9, 8);
  }

  @Test
  void shouldPassOverWhatIsDamaged() throws IOException {
    append("\0\0\n[1]\n{\"step\":-1}\n{\"step\":1.5}\n{\"step\":99999999999}\n{\"st\n");
    append("x".repeat(1 << 17) + "\n{\"step\":3,\"loss\":\"high\",\"seconds\":1}\n");
    metrics.update();
    assertThat(metrics.steps()).containsExactly(3);
    assertThat(metrics.names()).containsExactly("seconds");
  }

  /** A run that is resumed does some of the steps again; one begun anew replaces the file. */
  @Test
  void shouldForgetStepsThatAreDoneAgain() throws IOException {
    append(
        "{\"step\":1,\"a\":1}\n{\"step\":2,\"a\":2,\"b\":7}\n{\"step\":1,\"a\":3}\n{\"step\":2}\n");
    metrics.update();
    assertThat(metrics.steps()).containsExactly(1, 2);
    assertThat(metrics.column("a")).containsExactly(3, Double.NaN);
    assertThat(metrics.column("b")).containsExactly(Double.NaN, Double.NaN);
    Files.writeString(folder.resolve("metrics.jsonl"), "{\"step\":9,\"a\":4}\n");
    assertThat(metrics.update()).isTrue();
    assertThat(metrics.steps()).containsExactly(9);
  }

  @Test
  void shouldGrowWithTheFile() throws IOException {
    StringBuilder lines = new StringBuilder();
    for (int i = 1; i <= 5000; i++) {
      lines.append("{\"step\":%d,\"loss\":%d}\n".formatted(i, 2 * i));
    }
    append(lines.toString());
    metrics.update();
    assertThat(metrics.rows()).isEqualTo(5000);
    assertThat(metrics.column("loss")[4999]).isEqualTo(10_000);
    Chart.Line line = Chart.Line.of("loss", metrics.steps(), metrics.column("loss"));
    assertThat(line.x()).hasSizeLessThanOrEqualTo(2000).endsWith(5000);
    assertThat(line.y()[0]).isEqualTo(4); // of steps 1 to 3
  }
}
