package dreambooth4j.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * That nothing native is forgotten. In a JVM with {@code nopointergc=false} JavaCPP counts its live
 * objects; without a garbage collector (Epsilon) none of them is closed but by its owner.
 */
@Timeout(300)
class LeakTest {
  private static final String SD1 = "src/test/resources/goldens/sd1/model";
  private static final String SDXL = "src/test/resources/goldens/sdxl/model";

  /** The root arena's InferenceMode. */
  private static final int GUARDS = 1;

  private record Counts(Count start, Count early, Count late, Count closed) {}

  private record Count(long objects, long handles, long tensors, long bytes) {}

  @Test
  void shouldHoldNoMoreAfter500StepsThanAfter5() throws Exception {
    Counts counts = run("train", SD1, 500, 5);

    assertThat(counts.late()).isEqualTo(counts.early());
    assertEverythingHasAnOwner(counts);
  }

  @Test
  void shouldHoldNoMoreAfterManyStepsOfAdapters() throws Exception {
    Counts counts = run("lora", SD1, 60, 5);

    assertThat(counts.late()).isEqualTo(counts.early());
    assertEverythingHasAnOwner(counts);
  }

  @Test
  void shouldHoldNoMoreAfterManyPictures() throws Exception {
    Counts counts = run("generate", SD1, 6, 2);

    assertThat(counts.late()).isEqualTo(counts.early());
    assertEverythingHasAnOwner(counts);
  }

  @Test
  void shouldHoldNoMoreOfSdxl() throws Exception {
    for (Counts counts : List.of(run("train", SDXL, 50, 5), run("generate", SDXL, 6, 2))) {
      assertThat(counts.late()).isEqualTo(counts.early());
      assertEverythingHasAnOwner(counts);
    }
  }

  @Test
  void shouldNoticeWhatIsForgotten() throws Exception {
    Counts counts = run("forget", SD1, 8, 5);

    assertThat(counts.late().objects()).isEqualTo(counts.early().objects() + 3);
  }

  private static void assertEverythingHasAnOwner(Counts counts) {
    Count late = counts.late();
    assertThat(late.tensors()).isPositive();
    assertThat(late.objects())
        .isEqualTo(counts.start().objects() + late.tensors() + late.handles() + GUARDS);
    Count closed = counts.closed();
    // Operators' handles stay for the next run; they are as many as operators, and no more.
    assertThat(closed.objects()).isEqualTo(counts.start().objects() + closed.handles());
    assertThat(closed.tensors()).isZero();
    assertThat(closed.bytes()).isZero();
  }

  private static Counts run(String what, String model, int times, int early) throws Exception {
    Process child = start(what, model, times, early);
    String said = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(child.waitFor()).as(said).isZero();
    return new Counts(
        count(said, "start"), count(said, "early"), count(said, "late"), count(said, "closed"));
  }

  private static Count count(String said, String when) {
    return said.lines()
        .map(line -> line.split(" "))
        .filter(words -> words[0].equals(when))
        .map(
            words ->
                new Count(
                    Long.parseLong(words[1]),
                    Long.parseLong(words[2]),
                    Long.parseLong(words[3]),
                    Long.parseLong(words[4])))
        .findFirst()
        .orElseThrow(() -> new AssertionError("no count at " + when + " in: " + said));
  }

  private static Process start(String what, String model, int times, int early) throws IOException {
    ProcessBuilder builder =
        new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-XX:+UnlockExperimentalVMOptions",
            "-XX:+UseEpsilonGC",
            "-XX:TieredStopAtLevel=1",
            "-Xmx3g",
            "-Dorg.bytedeco.javacpp.nopointergc=false",
            "-Dorg.bytedeco.javacpp.maxBytes=0",
            "-Dorg.bytedeco.javacpp.maxPhysicalBytes=0",
            "-DRUST_FLAVOR=cpu",
            "-cp",
            System.getProperty("java.class.path"),
            LeakRun.class.getName(),
            what,
            model,
            String.valueOf(times),
            String.valueOf(early));
    return builder.redirectErrorStream(true).start();
  }
}
