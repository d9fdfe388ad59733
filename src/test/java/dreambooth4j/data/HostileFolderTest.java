package dreambooth4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import dreambooth4j.Problem;
import dreambooth4j.config.ConfigReader;
import dreambooth4j.config.ConfigWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Folders with what no folder of pictures should hold. */
@Timeout(30)
class HostileFolderTest {
  @TempDir Path folder;

  @BeforeEach
  void paint() throws IOException {
    TestPictures.write(folder, "a", 64, 64, "sks, man");
  }

  private Concept scan() {
    return Concept.scanAll(
            ConfigReader.read(
                    null,
                    Map.of("instance_data_dir", folder.toString(), "instance_prompt", "a sks man"))
                .config())
        .get(0);
  }

  private List<String> names() {
    return scan().pictures().stream().map(each -> each.file().getFileName().toString()).toList();
  }

  private static void pipe(Path file) throws IOException, InterruptedException {
    int code = new ProcessBuilder("mkfifo", file.toString()).start().waitFor();
    assertThat(code).isZero();
  }

  @Test
  void shouldPassOverPipesAndDevicesThatAreCalledPictures()
      throws IOException, InterruptedException {
    pipe(folder.resolve("b.png"));
    pipe(folder.resolve("c.png"));
    pipe(folder.resolve("a.crop"));
    Files.createSymbolicLink(folder.resolve("d.png"), Path.of("/dev/zero"));
    Files.createSymbolicLink(folder.resolve("e.png"), Path.of("/dev/zero"));
    assertThat(names()).containsExactly("a.png");
    assertThat(scan().folder().skipped()).containsEntry("pipe, device or socket", 5);
  }

  @Test
  void shouldReadEachFolderOnceHoweverManyLinksLeadThere() throws IOException {
    for (int i = 0; i < 12; i++) {
      Files.createDirectories(folder.resolve("f" + i));
      TestPictures.write(folder.resolve("f" + i), "p" + i, 64, 64, "sks");
    }
    for (int i = 0; i < 12; i++) {
      for (int j = 0; j < 12; j++) {
        Path link = folder.resolve("f" + i).resolve("to" + j);
        Files.createSymbolicLink(link, folder.resolve("f" + j).toAbsolutePath());
      }
    }
    assertThat(scan().pictures())
        .hasSize(13)
        .allMatch(each -> each.file().getNameCount() <= folder.getNameCount() + 2)
        .noneMatch(each -> Files.isSymbolicLink(each.file().getParent()));
    assertThat(scan().folder().skipped())
        .containsOnlyKeys("link to a folder that is read already or has another use");
  }

  @Test
  void shouldComeToAnEndWhereALinkLeadsToTheWholeSystem() throws IOException {
    Files.createSymbolicLink(folder.resolve("system"), Path.of("/sys"));
    assertThat(names()).containsExactly("a.png");
  }

  @Test
  void shouldNotFollowFoldersWithoutEnd() throws IOException {
    TestPictures.write(folder.resolve("d/".repeat(64)), "b", 64, 64, "sks");
    TestPictures.write(folder.resolve("d/".repeat(65)), "c", 64, 64, "sks");
    assertThat(names()).containsExactly("a.png", "b.png");
    assertThat(scan().folder().skipped()).containsEntry("folder more than 64 levels down", 1);
  }

  @Test
  void shouldNotEnterFoldersOfModelsAndRuns() throws IOException {
    Path run = folder.resolve("run");
    TestPictures.write(run.resolve("samples"), "b", 64, 64, "sks");
    TestPictures.write(run.resolve("class_images/man"), "c", 64, 64, "man");
    Files.writeString(run.resolve("config.yaml"), ConfigWriter.HEADER + "\nseed: 1\n");
    Path model = folder.resolve("model");
    TestPictures.write(model, "d", 64, 64, "sks");
    Files.writeString(model.resolve("model_index.json"), "{}");
    Path own = folder.resolve("own");
    TestPictures.write(own, "e", 64, 64, "sks");
    Files.writeString(own.resolve("config.yaml"), "seed: 1\n");
    assertThat(names()).containsExactly("a.png", "e.png");
    assertThat(scan().folder().skipped()).containsEntry("folder of a model or of a run", 2);
  }

  @Test
  void shouldNameTheFolderThatCannotBeListed() throws IOException {
    Path closed = Files.createDirectories(folder.resolve("closed"));
    Files.setPosixFilePermissions(closed, PosixFilePermissions.fromString("---------"));
    assumeFalse(Files.isReadable(closed), "root lists every folder");
    Problem problem = catchThrowableOfType(Problem.class, this::scan);
    assertThat(problem).hasMessage(closed + " cannot be listed: permission denied");
  }

  @Test
  void shouldNotCallAFileDamagedThatTheSystemDoesNotGive() throws IOException {
    // A regular file by its kind, of which nothing can be read at its beginning.
    Files.createSymbolicLink(folder.resolve("b.png"), Path.of("/proc/self/mem"));
    Problem problem = catchThrowableOfType(Problem.class, this::scan);
    assertThat(problem).hasMessage(folder.resolve("b.png") + " cannot be read: Input/output error");
  }
}
