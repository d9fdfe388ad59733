package dreambooth4j.review;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dreambooth4j.Untrusted;
import dreambooth4j.data.PictureFolder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.provider.MethodSource;

/** A {@code kept.json} of any content. */
@Timeout(60)
class KeptImagesFuzzTest {
  static Stream<byte[]> files() {
    return Stream.of("[\"a.png\", \"b.png\"]", "[null]", "null", "{}")
        .map(text -> text.getBytes(StandardCharsets.UTF_8));
  }

  @MethodSource("files")
  @FuzzTest
  void shouldReadOrRefuse(byte[] content) {
    Untrusted.read(
        "kept.json",
        content,
        file -> {
          try {
            Path folder = file.resolveSibling("class");
            Path review = Files.createDirectories(folder.resolve(PictureFolder.REVIEW));
            Files.copy(file, review.resolve("kept.json"), StandardCopyOption.REPLACE_EXISTING);
            KeptImages.of(folder).has(folder.resolve("a.png"));
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        });
  }
}
