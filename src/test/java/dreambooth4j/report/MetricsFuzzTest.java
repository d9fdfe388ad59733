package dreambooth4j.report;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import com.fasterxml.jackson.databind.ObjectMapper;
import dreambooth4j.Untrusted;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.provider.MethodSource;

/** A {@code metrics.jsonl} of any content, which a resumed run goes on with. */
@Timeout(60)
class MetricsFuzzTest {
  private static final int DONE = 3;

  static Stream<byte[]> records() {
    String records =
        """
        {"step":1,"epoch":1,"loss":0.5,"instance_loss":0.25,"prior_loss":0.25,"grad_norm":1.5}
        {"step":2,"epoch":1,"loss":1e-3,"instance_loss":0.25,"grad_norm":null,"skipped":true}
        {"step":3,"epoch":2,"loss":NaN}
        {"step":4,"epoch":2,"lo\
        """;
    return Stream.of(records.getBytes(StandardCharsets.UTF_8));
  }

  @MethodSource("records")
  @FuzzTest
  void shouldKeepTheStepsThatCount(byte[] content) {
    Untrusted.read("metrics.jsonl", content, MetricsFuzzTest::check);
  }

  private static void check(Path file) {
    new MetricsFile(file, DONE).close();
    try {
      for (String line : Files.readString(file, StandardCharsets.ISO_8859_1).split("\n", -1)) {
        if (!line.isEmpty()) {
          assertThat(new ObjectMapper().readTree(line).path("step").asInt())
              .isLessThanOrEqualTo(DONE);
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
