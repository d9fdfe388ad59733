package dreambooth4j.prior;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dreambooth4j.Untrusted;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.provider.MethodSource;

/** Records beside class images: what is none of ours is as if there were none. */
@Timeout(60)
class ClassImageRecordFuzzTest {
  static Stream<byte[]> records() {
    return Stream.of(
        new ClassImageRecord("a man", "", 7, "ddim", 60, 7.5, 512, 512, "0a1b").json());
  }

  @MethodSource("records")
  @FuzzTest
  void shouldReadOrPassOver(byte[] content) {
    Untrusted.read("picture.json", content, ClassImageRecordFuzzTest::check);
  }

  private static void check(Path file) {
    ClassImageRecord record = ClassImageRecord.beside(file.resolveSibling("picture.png"));
    if (record != null) {
      assertThat(record.json()).isNotEmpty();
      assertThat(record.model()).isNotNull();
    }
  }
}
