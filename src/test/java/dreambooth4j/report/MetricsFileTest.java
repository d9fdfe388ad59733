package dreambooth4j.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

class MetricsFileTest {
  @TempDir Path folder;

  @Test
  void shouldKeepTheLinesOfTheStepsThatCount() throws IOException {
    Path file = folder.resolve("metrics.jsonl");
    Files.writeString(file, "{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n{\"st");
    new MetricsFile(file, 2).close();
    assertThat(file).hasContent("{\"step\":1}\n{\"step\":2}\n");
  }

  /** Such as the zeros that a crash leaves at the end. */
  @Test
  @Timeout(10)
  void shouldReadNothingBeyondALineThatIsNoneOfOurs() throws IOException {
    Path file = folder.resolve("metrics.jsonl");
    Files.writeString(file, "{\"step\":1}\n");
    try (RandomAccessFile longer = new RandomAccessFile(file.toFile(), "rw")) {
      longer.setLength(8L << 30);
    }
    new MetricsFile(file, 2).close();
    assertThat(file).hasContent("{\"step\":1}\n");
  }
}
