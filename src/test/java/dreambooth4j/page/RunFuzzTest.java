package dreambooth4j.page;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dreambooth4j.Untrusted;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.provider.MethodSource;

/** A run's record and metrics of any content: a page, or a problem that names the file. */
@Timeout(60)
class RunFuzzTest {
  static Stream<byte[]> records() {
    String record =
        """
        {"name":"sks","state":"COMPLETE","began":"2026-11-28T12:00:00Z","ended":"now","steps":3,
        "memory":{"plan":5,"before":2,"ofGpu":false},"machine":[{"name":"Java","value":null},null],
        "settings":[{"concept":"","group":"Training","key":"seed","value":"7","origin":null}],
        "classImages":[{"file":"../none.png","prompt":"man"}],"warnings":["<b>"]}
        """;
    return Stream.of(record, "{}", "null", "{\"step\":1,\"loss\":1e999,\"seconds\":0}\n")
        .map(text -> text.getBytes(StandardCharsets.UTF_8));
  }

  @MethodSource("records")
  @FuzzTest
  void shouldGiveAPageOrAProblem(byte[] content) {
    Untrusted.read(RunRecord.FILE, content, RunFuzzTest::check);
  }

  private static void check(Path file) {
    try {
      Files.copy(file, file.resolveSibling(Metrics.FILE), StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    assertThat(RunPage.write(Objects.requireNonNull(file.getParent()))).isNotEmptyFile();
  }
}
