package dreambooth4j.engine.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dreambooth4j.engine.kernel.Autotuner.Candidate;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** How the fastest of several ways is chosen and remembered. */
class AutotunerTest {
  @TempDir private Path folder;

  private final List<String> tried = new ArrayList<>();

  private Autotuner autotuner() {
    return new Autotuner(folder, "attention", "a GPU, driver 1");
  }

  private Candidate taking(String name, double seconds) {
    return new Candidate(
        name,
        () -> {
          tried.add(name);
          return seconds;
        });
  }

  private Candidate failing(String name) {
    return new Candidate(
        name,
        () -> {
          tried.add(name);
          throw new IllegalStateException(name + " cannot");
        });
  }

  private Path file() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      List<Path> all = files.toList();
      assertThat(all).hasSize(1);
      return all.get(0);
    }
  }

  @Test
  void shouldTakeTheFastestAndTryOnce() {
    Autotuner autotuner = autotuner();
    List<Candidate> both = List.of(taking("slow", 3), taking("fast", 2), taking("middle", 2.5));

    assertThat(autotuner.choose("d=40", both)).isEqualTo("fast");
    assertThat(autotuner.choose("d=40", both)).isEqualTo("fast");
    assertThat(tried).containsExactly("slow", "fast", "middle");
  }

  @Test
  void shouldPassOverWhatFailsEvenWhereItComesFirst() {
    assertThat(autotuner().choose("d=160", List.of(failing("flash"), taking("plain", 9))))
        .isEqualTo("plain");
  }

  @Test
  void shouldSayWhyNothingWorks() {
    assertThatThrownBy(() -> autotuner().choose("d=7", List.of(failing("a"), failing("b"))))
        .hasMessageContaining("d=7")
        .satisfies(
            e ->
                assertThat(e.getSuppressed())
                    .extracting(Throwable::getMessage)
                    .containsExactly("a cannot", "b cannot"));
    assertThat(folder).isEmptyDirectory();
  }

  @Test
  void shouldTakeASingleOneUntried() {
    assertThat(autotuner().choose("d=40", List.of(failing("only")))).isEqualTo("only");
    assertThat(tried).isEmpty();
  }

  @Test
  void shouldRememberAcrossProcesses() {
    autotuner().choose("d=40", List.of(taking("a", 1), taking("b", 2)));
    autotuner().choose("d=80", List.of(taking("a", 2), taking("b", 1)));
    tried.clear();

    Autotuner later = autotuner();
    List<Candidate> both = List.of(taking("b", 1), taking("a", 2));
    assertThat(later.choose("d=40", both)).isEqualTo("a");
    assertThat(later.choose("d=80", both)).isEqualTo("b");
    assertThat(tried).isEmpty();
  }

  @Test
  void shouldKeepWhatAnotherProcessWroteMeanwhile() {
    Autotuner one = autotuner();
    Autotuner other = autotuner();
    one.choose("d=40", List.of(taking("a", 1), taking("b", 2)));
    other.choose("d=80", List.of(taking("a", 1), taking("b", 2)));
    tried.clear();

    autotuner().choose("d=40", List.of(taking("a", 1), taking("b", 2)));
    assertThat(tried).isEmpty();
  }

  @Test
  void shouldTryAgainOnAnotherMachine() {
    autotuner().choose("d=40", List.of(taking("a", 1), taking("b", 2)));

    assertThat(
            new Autotuner(folder, "attention", "a GPU, driver 2")
                .choose("d=40", List.of(taking("a", 2), taking("b", 1))))
        .isEqualTo("b");
  }

  @Test
  void shouldTryAgainWhereTheRememberedOneIsNoCandidate() {
    autotuner().choose("d=40", List.of(taking("a", 1), taking("b", 2)));

    assertThat(autotuner().choose("d=40", List.of(taking("b", 2), taking("c", 3)))).isEqualTo("b");
  }

  @Test
  void shouldWriteADamagedFileAnew() throws IOException {
    autotuner().choose("d=40", List.of(taking("a", 1), taking("b", 2)));
    String good = Files.readString(file());
    for (String damaged : List.of("", good.substring(0, 20), "[1]", good.replace("\"a\"", "[3]"))) {
      Files.writeString(file(), damaged);
      tried.clear();

      assertThat(autotuner().choose("d=40", List.of(taking("a", 1), taking("b", 2))))
          .isEqualTo("a");
      assertThat(tried).as(damaged).containsExactly("a", "b");
      assertThat(Files.readString(file())).isEqualTo(good);
    }
  }

  @Test
  void shouldChooseWhereNothingCanBeWritten() throws IOException {
    Path occupied = Files.writeString(folder.resolve("file"), "");
    Autotuner autotuner = new Autotuner(occupied.resolve("under"), "attention", "a GPU");

    assertThat(autotuner.choose("d=40", List.of(taking("a", 2), taking("b", 1)))).isEqualTo("b");
  }
}
