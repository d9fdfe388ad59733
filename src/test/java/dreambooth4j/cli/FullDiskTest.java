package dreambooth4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dreambooth4j.train.TinyRun;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** Every command that writes says which file does not fit, and ends with exit code 1. */
@DisabledOnOs(OS.WINDOWS)
@Timeout(120)
class FullDiskTest {
  @TempDir Path folder;

  @SuppressWarnings("NullAway.Init")
  private TinyRun tiny;

  @BeforeEach
  void quickRun() throws IOException {
    tiny = new TinyRun(folder);
  }

  /** Where no file may be longer than a KiB. */
  private static void fails(List<String> arguments, String... parts) throws Exception {
    try (Child child = Child.withFilesUpTo(1, arguments)) {
      assertFails(child, parts);
    }
  }

  private static void assertFails(Child child, String... parts) throws Exception {
    assertThat(child.exitCode()).as(child.said()).isEqualTo(1);
    assertThat(child.said()).contains(parts).doesNotContain("\tat ", "Exception");
  }

  private void assertNothingHalf() throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      assertThat(files).noneMatch(file -> file.toString().endsWith(".part"));
    }
  }

  @Test
  void shouldNameThePageThatDoesNotFit() throws Exception {
    Path page = folder.resolve("page.html");
    fails(tiny.arguments("inspect", "--html", page.toString()), page + ": cannot be written: ");
    assertNothingHalf();
  }

  @Test
  void shouldNameThePictureThatDoesNotFit() throws Exception {
    Path picture = folder.resolve("new/a.png");
    List<String> draw =
        List.of("generate", TinyRun.MODEL.toString(), "hat", "-o", picture.toString(), "--steps=1");
    fails(draw, picture + ": cannot be written: ");
    assertNothingHalf();
  }

  @Test
  void shouldNameTheClassImageThatDoesNotFit() throws Exception {
    fails(tiny.arguments("class-images"), tiny.classImages() + "/", ": cannot be written: ");
    assertNothingHalf();
  }

  @Test
  void shouldNotCallItDoneWhereItsOutputIsLost() throws Exception {
    Path full = Path.of("/dev/full");
    assumeThat(full).exists();
    try (Child child = Child.printingTo(full, tiny.arguments("inspect"))) {
      assertFails(child, "not all of the output could be written");
    }
  }

  /** As where the home folder is full: libraries unpack themselves when they are first used. */
  @Test
  void shouldSayWhereALibraryCannotBeUnpacked() throws Exception {
    Path file = Files.createFile(folder.resolve("file"));
    List<String> draw = List.of("generate", TinyRun.MODEL.toString(), "hat", "--steps=1");
    try (Child child = Child.with("DJL_CACHE_DIR", file.resolve("below").toString(), draw)) {
      assertFails(
          child,
          "native libraries cannot be unpacked to " + file,
          "or name another folder: DJL_CACHE_DIR=FOLDER");
    }
  }
}
