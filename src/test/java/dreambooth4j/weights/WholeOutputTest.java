package dreambooth4j.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dreambooth4j.FailingFiles;
import dreambooth4j.Problem;
import dreambooth4j.Sha256;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class WholeOutputTest {
  @TempDir private Path folder;

  private static void convert(Path output) {
    new Conversion(Golden.model(), output, Conversion.formatOf(output), null).run(bytes -> {});
  }

  /** All that lies there, with its content. */
  private Map<String, String> content() throws IOException {
    Map<String, String> content = new TreeMap<>();
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path each : files.toList()) {
        String name = folder.relativize(each).toString();
        content.put(name, Files.isRegularFile(each) ? Sha256.of(each) : "");
      }
    }
    return content;
  }

  /** Two at once: the later one is refused, and the earlier one's is there, whole. */
  @ParameterizedTest
  @ValueSource(strings = {"out", "out.safetensors"})
  void shouldNotMakeWhatIsBeingMade(String name) throws IOException {
    Path output = folder.resolve(name);
    try (WholeOutput first = new WholeOutput(output)) {
      first.add(name.equals("out") ? output.resolve("a") : output, body("first"));
      assertThatThrownBy(() -> convert(output))
          .isInstanceOf(Problem.class)
          .hasMessageContaining("is being written by another process: wait for its end");
      convert(folder.resolve("other"));
      first.commit();
    }
    assertThat(name.equals("out") ? output.resolve("a") : output).hasContent("first");
    assertThat(content().keySet()).noneMatch(each -> each.startsWith("."));
  }

  /** Of link/.. only the system knows where it is. */
  @ParameterizedTest
  @ValueSource(strings = {"new", "new.safetensors"})
  void shouldMakeWhatItsNameLeadsTo(String name) throws IOException {
    Path far = Files.createDirectories(folder.resolve("far/below"));
    Path link = Files.createSymbolicLink(folder.resolve("link"), far);
    convert(link.resolve("..").resolve(name));
    assertThat(folder.resolve("far").resolve(name)).exists();
    assertThat(folder.resolve(name)).doesNotExist();
    assertThat(content().keySet()).noneMatch(each -> each.endsWith(".part"));
  }

  private static StagedFiles.Body body(String text) {
    return StagedFiles.Body.of(text.getBytes(java.nio.charset.StandardCharsets.UTF_8));
  }

  @Test
  void shouldNotWriteOverWhatCameMeanwhile() throws IOException {
    Path output = folder.resolve("out.txt");
    try (WholeOutput files = new WholeOutput(output)) {
      files.add(output, body("ours"));
      Files.writeString(output, "somebody's");
      assertThatThrownBy(files::commit).hasMessageContaining("is there already");
    }
    assertThat(output).hasContent("somebody's");
    assertThat(content()).hasSize(2);
  }

  /**
   * Killed or failing at every single call, whichever the form: it is whole, or can be repeated.
   */
  @ParameterizedTest
  @CsvSource({"KILLED, out", "KILLED, out.safetensors", "FULL, out", "ERROR, out.safetensors"})
  void shouldBeWholeOrRepeatableFromEveryCall(FailingFiles.How how, String name)
      throws IOException {
    Path output = folder.resolve("new").resolve(name);
    FailingFiles counting = new FailingFiles(how, 0);
    convert(counting.path(output));
    Map<String, String> whole = content();
    assertThat(counting.calls()).isGreaterThan(5);
    for (int call : counting.turns()) {
      clear();
      try (FailingFiles failing = new FailingFiles(how, call)) {
        convert(failing.path(output));
      } catch (FailingFiles.Killed | Problem e) {
        // as it is to be
      }
      String what = "call %d, %s".formatted(call, counting.names().get(call - 1));
      if (!Files.exists(output)) {
        convert(output);
      } else {
        convert(folder.resolve("new/next")); // which removes what the other left
        clear("new/next");
      }
      assertThat(content()).as(what).isEqualTo(whole);
    }
  }

  private void clear(String... names) throws IOException {
    Path start = folder.resolve(names.length == 0 ? "new" : names[0]);
    try (Stream<Path> files = Files.walk(start)) {
      for (Path file : files.sorted(java.util.Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }
}
