package dreambooth4j.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assumptions.assumeThat;

import dreambooth4j.FailingFiles;
import dreambooth4j.Problem;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class FolderChangesTest {
  private static final Path OTHER_DISK = Path.of("/dev/shm");
  private static final Map<String, String> OLD =
      Map.of("index", "old", "unet/w", "old", "vae/w", "same", "tokenizer/x", "old", "log", "old");
  private static final Map<String, String> NEW =
      Map.of(
          "index", "new", "unet/w", "new", "vae/w", "same", "text/w", "new", "logs/log-1", "old");

  @TempDir Path folder;

  @Test
  @Timeout(10)
  void shouldNotWaitForPipesInPlaceOfFolders() throws IOException, InterruptedException {
    for (String name : List.of(".dreambooth-changes.part", "unet")) {
      pipe(Files.createDirectories(output()).resolve(name));
    }
    FolderChanges.finish(output());
    assertThat(output().resolve(".dreambooth-changes.part")).doesNotExist();
    StagedFiles.sync(output().resolve("unet"));
  }

  private static void pipe(Path file) throws IOException, InterruptedException {
    int code = new ProcessBuilder("mkfifo", file.toString()).start().waitFor();
    assertThat(code).isZero();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"[", "\u00ff", "[[\"a\\u0000b\",\"x\"]]", "[[\"../a\",\"x\"]]", "{\"a\":1}"})
  void shouldNameAListThatIsDamaged(String list) throws IOException {
    Path pending = Files.createDirectories(output().resolve(".dreambooth-changes"));
    Files.writeString(pending.resolve("list.json"), list);
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> FolderChanges.finish(output()))
        .withMessageContaining("list")
        .withMessageNotContaining("REDACTED");
  }

  private static Path killedAfterDeciding(Path output) throws IOException {
    FailingFiles counting = new FailingFiles(FailingFiles.How.KILLED, 0);
    change(counting.path(output));
    int decided = counting.names().indexOf("move .dreambooth-changes.part .dreambooth-changes") + 1;
    assertThat(decided).isPositive();
    for (String name : NEW.keySet()) {
      Files.deleteIfExists(output.resolve(name));
    }
    write(output, OLD);
    try (FailingFiles failing = new FailingFiles(FailingFiles.How.KILLED, decided + 1)) {
      change(failing.path(output));
      throw new AssertionError("nothing was killed");
    } catch (FailingFiles.Killed e) {
      return output.resolve(".dreambooth-changes");
    }
  }

  @Test
  void shouldNotTakeAFileThatIsGoneForOneInItsPlace() throws IOException {
    write(OLD);
    Path pending = killedAfterDeciding(output());
    Files.delete(pending.resolve("1"));
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> FolderChanges.finish(output()))
        .withMessageContainingAll(
            output().resolve("unet/w").toString(),
            pending.resolve("1") + " is gone",
            "delete that folder");
    assertThat(pending).as("the other files of the model are not lost with it").exists();
  }

  @Test
  void shouldSayWhatToDoWhereTheListIsGone() throws IOException {
    write(OLD);
    Path pending = killedAfterDeciding(output());
    Files.delete(pending.resolve("list.json"));
    for (String list : List.of("", "[]")) {
      assertThatExceptionOfType(Problem.class)
          .isThrownBy(() -> FolderChanges.finish(output()))
          .withMessageContainingAll("list.json", "Move what you want to keep out of " + pending);
      assertThat(pending.resolve("1")).hasContent("new");
      Files.writeString(pending.resolve("list.json"), list);
    }
    try (Stream<Path> files = Files.list(pending)) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
    }
    FolderChanges.finish(output());
    assertThat(leftOvers(output())).isEmpty();
    change(output());
    assertThat(content()).isEqualTo(NEW);
  }

  @Test
  void shouldNameWhatKeepsItFromBeingRemoved() throws IOException {
    Path inside = output().resolve(".dreambooth-changes.part/mine");
    Files.createDirectories(inside);
    Files.writeString(inside.resolve("file"), "mine");
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> FolderChanges.finish(output()))
        .withMessageContainingAll(inside.toString(), "a folder that is not empty", "Delete that")
        .withMessageNotContaining("Exception");
  }

  /** Of link/.. only the system knows where it is. */
  @Test
  void shouldChangeTheFolderThatItsNameLeadsTo() throws IOException {
    Path far = Files.createDirectories(folder.resolve("far/below"));
    Path link = Files.createSymbolicLink(folder.resolve("link"), far);
    Path named = link.resolve("../new");
    change(named, false);
    assertThat(folder.resolve("far/new/unet/w")).hasContent("new");
    assertThat(folder.resolve("new")).doesNotExist();
    assertThat(leftOvers(folder.resolve("far/new"))).isEmpty();
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private Path output() {
    return folder.resolve("out");
  }

  private void clear() throws IOException {
    if (Files.exists(output())) {
      try (Stream<Path> files = Files.walk(output())) {
        for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
          Files.delete(file);
        }
      }
    }
  }

  private void write(Map<String, String> files) throws IOException {
    write(output(), files);
  }

  private static void write(Path output, Map<String, String> files) throws IOException {
    for (var each : files.entrySet()) {
      Path file = output.resolve(each.getKey());
      Path folder = Objects.requireNonNull(file.getParent());
      if (!Files.isDirectory(folder)) {
        Files.createDirectories(folder);
      }
      Files.writeString(file, each.getValue());
    }
  }

  private Map<String, String> content() throws IOException {
    Map<String, String> content = new TreeMap<>();
    for (String name : Stream.of(OLD, NEW).flatMap(m -> m.keySet().stream()).distinct().toList()) {
      Path file = output().resolve(name);
      if (Files.exists(file)) {
        content.put(name, Files.readString(file));
      }
    }
    return content;
  }

  private static void change(Path output) {
    change(output, true);
  }

  private static void change(Path output, boolean overAnOld) {
    try (FolderChanges changes = new FolderChanges(output)) {
      if (overAnOld) {
        changes.move(output.resolve("log"), output.resolve("logs/log-1"));
      }
      changes.add(output.resolve("text/w"), StagedFiles.Body.of(bytes("new")));
      changes.add(output.resolve("unet/w"), StagedFiles.Body.of(bytes("new")));
      changes.add(output.resolve("index"), StagedFiles.Body.of(bytes("new")));
      changes.delete(output.resolve("tokenizer/x"));
      changes.commit();
    }
  }

  private static List<String> leftOvers(Path output) throws IOException {
    try (Stream<Path> files = Files.list(output)) {
      return files.map(f -> f.getFileName().toString()).filter(n -> n.startsWith(".")).toList();
    }
  }

  @Test
  void shouldMakeAllChanges() throws IOException {
    write(OLD);
    change(output());
    assertThat(content()).isEqualTo(NEW);
    assertThat(leftOvers(output())).isEmpty();
  }

  /** Of an error in the midst the next process knows nothing: all of it is settled at once. */
  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "FLIPPED")
  void shouldBeWhollyOldOrNewWhereverItFails(FailingFiles.How how) throws IOException {
    write(OLD);
    FailingFiles counting = new FailingFiles(how, 0);
    change(counting.path(output()));
    assertThat(counting.calls()).isGreaterThan(25);
    for (int call = 1; call <= counting.calls(); call++) {
      clear();
      write(OLD);
      FailingFiles failing = new FailingFiles(how, call);
      try (failing) {
        change(failing.path(output()));
      } catch (FailingFiles.Killed | Problem e) {
        // What is there now says what happened.
      }
      String what = "call %d, %s".formatted(call, failing.failed());
      boolean mayBePending =
          how == FailingFiles.How.KILLED
              || what.endsWith("move .dreambooth-changes .dreambooth-changes.part");
      assertThat(mayBePending || !FolderChanges.isPending(output())).as(what).isTrue();
      if (FolderChanges.isPending(output())) {
        FolderChanges.finish(output());
        assertThat(content()).as(what).isEqualTo(NEW);
      }
      assertThat(content()).as(what).isIn(OLD, NEW);
      FolderChanges.finish(output());
      assertThat(leftOvers(output())).as(what).isEmpty();
    }
  }

  /** Java's own copying passes over an error that comes after some bytes. */
  @Test
  void shouldCopyAFileWholeOrSayThatItCannot() throws IOException {
    Path source = folder.resolve("source");
    Files.write(source, new java.util.Random(1).ints(20_000).mapToObj(Integer::toString).toList());
    for (int call = 1; call < 40; call++) {
      clear();
      FailingFiles failing = new FailingFiles(FailingFiles.How.ERROR, call);
      Path output = failing.path(output());
      try (FolderChanges changes = new FolderChanges(output)) {
        changes.copy(source, output.resolve("copy"));
        changes.commit();
        assertThat(output().resolve("copy")).hasSameBinaryContentAs(source);
      } catch (Problem e) {
        assertThat(e).hasMessageContaining("cannot be written");
      }
    }
  }

  /** Nobody reads an index beside files of another model. */
  @Test
  void shouldHaveNoIndexWhileFilesAreReplaced() throws IOException {
    write(OLD);
    FailingFiles counting = new FailingFiles(FailingFiles.How.KILLED, 0);
    change(counting.path(output()));
    for (int call = 1; call <= counting.calls(); call++) {
      clear();
      write(OLD);
      try (FailingFiles failing = new FailingFiles(FailingFiles.How.KILLED, call)) {
        change(failing.path(output()));
      } catch (FailingFiles.Killed e) {
        if (Files.exists(output().resolve("index"))) {
          assertThat(content()).as("call %d, %s", call, e.getMessage()).isIn(OLD, NEW);
        }
      }
    }
  }

  private Path unetOnAnotherDisk() throws IOException {
    assumeThat(Files.isWritable(OTHER_DISK)).isTrue();
    Files.createDirectories(output());
    assumeThat(Files.getFileStore(OTHER_DISK)).isNotEqualTo(Files.getFileStore(output()));
    Path far = Files.createTempDirectory(OTHER_DISK, "changes");
    Files.createSymbolicLink(output().resolve("unet"), far);
    return far;
  }

  @Test
  void shouldChangeNothingWhereAFolderIsOnAnotherDisk() throws IOException {
    Path far = unetOnAnotherDisk();
    try {
      write(OLD);
      assertThatExceptionOfType(Problem.class)
          .isThrownBy(() -> change(output()))
          .withMessageContaining("unet/w: cannot be written: it is on another disk")
          .withMessageContaining("What was there before is unchanged.");
      assertThat(content()).isEqualTo(OLD);
      assertThat(leftOvers(output())).isEmpty();
      assertThat(output().resolve("unet")).isSymbolicLink();
      Path place = output().resolve("unet/w");
      assertThatExceptionOfType(Problem.class)
          .isThrownBy(() -> FolderChanges.requireOneDisk(output(), List.of(place)))
          .withMessageContaining("unet is on another disk than " + output());
    } finally {
      Files.deleteIfExists(far.resolve("w"));
      Files.delete(far);
    }
  }

  /** Also while it takes back what it has done. */
  @Test
  void shouldBeWhollyOldWhereverItIsKilledOverAFolderOnAnotherDisk() throws IOException {
    Path far = unetOnAnotherDisk();
    try {
      write(OLD);
      FailingFiles counting = new FailingFiles(FailingFiles.How.KILLED, 0);
      assertThatExceptionOfType(Problem.class).isThrownBy(() -> change(counting.path(output())));
      for (int call = 1; call <= counting.calls(); call++) {
        try (FailingFiles failing = new FailingFiles(FailingFiles.How.KILLED, call)) {
          change(failing.path(output()));
        } catch (FailingFiles.Killed e) {
          String what = "call %d, %s".formatted(call, e.getMessage());
          if (FolderChanges.isPending(output())) {
            Files.delete(output().resolve("unet")); // as its user is told
            Files.createDirectory(output().resolve("unet"));
            FolderChanges.finish(output());
            assertThat(content()).as(what).isEqualTo(NEW);
            clear();
            Files.createDirectories(output());
            Files.createSymbolicLink(output().resolve("unet"), far);
            write(OLD);
          }
          assertThat(content()).as(what).isEqualTo(OLD);
        }
      }
    } finally {
      Files.deleteIfExists(far.resolve("w"));
      Files.delete(far);
    }
  }

  @Test
  void shouldFollowLinksToFoldersOfTheSameDisk() throws IOException {
    Path real = Files.createDirectory(folder.resolve("real"));
    Files.createSymbolicLink(output(), real);
    Path unet = Files.createDirectory(folder.resolve("unet"));
    Files.createSymbolicLink(real.resolve("unet"), unet);
    write(OLD);
    change(output());
    assertThat(content()).isEqualTo(NEW);
    assertThat(unet.resolve("w")).hasContent("new");
    List<Path> places = List.of(output().resolve("unet/w"));
    assertThatCode(() -> FolderChanges.requireOneDisk(output(), places)).doesNotThrowAnyException();
    StagedFiles.write(output().resolve("file"), bytes("new"));
    assertThat(real.resolve("file")).hasContent("new");
  }
}
