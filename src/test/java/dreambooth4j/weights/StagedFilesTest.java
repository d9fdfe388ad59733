package dreambooth4j.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dreambooth4j.Problem;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class StagedFilesTest {
  @TempDir Path folder;

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private List<String> names() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  @Test
  void shouldLetTwoWriteTheSameFile() throws IOException {
    Path target = folder.resolve("a.txt");
    try (StagedFiles one = new StagedFiles();
        StagedFiles other = new StagedFiles()) {
      one.add(target, bytes("one"));
      other.add(target, bytes("other"));
      assertThat(names()).hasSize(2).allMatch(name -> name.matches("\\.a\\.txt\\.\\w{16}\\.part"));
      other.commit();
      assertThat(target).hasContent("other");
      one.commit();
    }
    assertThat(target).hasContent("one");
    assertThat(names()).containsExactly("a.txt");
  }

  @Test
  void shouldLeaveNothingOfWhatIsNotCommitted() throws IOException {
    Path target = Files.writeString(folder.resolve("a.txt"), "before");
    try (StagedFiles files = new StagedFiles()) {
      files.add(target, bytes("one"));
      files.add(target, bytes("two"));
      assertThat(names()).hasSize(2);
      assertThatExceptionOfType(Problem.class)
          .isThrownBy(
              () ->
                  files.add(
                      folder.resolve("b.txt"),
                      channel -> {
                        throw new IOException("no space");
                      }))
          .withMessageContaining("no space. What was there before is unchanged.");
    }
    assertThat(target).hasContent("before");
    assertThat(names()).containsExactly("a.txt");
  }

  @Test
  void shouldSweepWhatAKilledProcessLeftAndNothingElse() throws IOException {
    String left = ".a.txt.0123456789abcdef.part";
    for (String name : List.of(left, ".download.part", "b.0123456789abcdef.part")) {
      Files.writeString(folder.resolve(name), "half");
    }
    StagedFiles.write(folder.resolve("a.txt"), channel -> {});
    assertThat(names()).containsExactly(".download.part", "a.txt", "b.0123456789abcdef.part");
  }
}
