package dreambooth4j.report;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.train.Losses;
import dreambooth4j.train.Trainer;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ProgressLineTest {
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();
  private final AtomicLong nanos = new AtomicLong(77);

  private ProgressLine line(int total, ProgressLine.@Nullable Terminal terminal) {
    PrintStream stream = new PrintStream(err, true, StandardCharsets.UTF_8);
    return new ProgressLine(stream, "step", "it/s", total, terminal, nanos::get);
  }

  private void seconds(double seconds) {
    nanos.addAndGet((long) (seconds * 1e9));
  }

  private String said() {
    return err.toString(StandardCharsets.UTF_8);
  }

  private static Trainer.StepReport report(int step, double learningRate) {
    Losses losses = new Losses(0.16, 0.12, 0.1);
    return new Trainer.StepReport(step, 0, losses, 0.5, learningRate, 0.4, 2, 0.1, null);
  }

  @Test
  void shouldCountTheRateWithoutTheFirstStep() {
    try (ProgressLine line = line(400, null)) {
      seconds(100); // loading, warming up
      line.at(1);
      seconds(6);
      line.at(4);
      seconds(1); // too soon for a line
      line.at(5);
      seconds(5);
      line.at(7);
    }
    assertThat(said().lines())
        .containsExactly(
            "step 1/400",
            "step 4/400 | 13:12 left | 0.500 it/s",
            "step 7/400 | 13:06 left | 0.500 it/s");
  }

  @Test
  void shouldCountTheRateOfAResumedRunFromWhereItResumed() {
    try (ProgressLine line = line(400, null)) {
      line.at(301);
      seconds(10);
      line.at(400);
    }
    assertThat(said().lines()).endsWith("step 400/400 | 0:00 left | 9.9 it/s");
  }

  @Test
  void shouldShowBothLossesApart() {
    try (ProgressLine line = line(400, null)) {
      line.step(report(1, 2.5e-6));
    }
    assertThat(said())
        .startsWith("step 1/400 | inst 0.120 | prior 0.100 | norm 0.50 | lr 2.5e-6")
        .contains("avg loss 0.1600");
  }

  @Test
  void shouldNotSayTheSameTwice() {
    try (ProgressLine line = line(4, null)) {
      line.at(4);
      line.at(4);
    }
    assertThat(said().lines()).containsExactly("step 4/4");
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 20, 40, 80, 120, 200})
  void shouldNeverBeWiderThanTheTerminalNorLeaveRemains(int columns) {
    try (ProgressLine line = line(12345, new ProgressLine.Terminal(columns))) {
      for (int i = 1; i <= 50; i++) {
        seconds(i % 7);
        line.step(report(i * i, i * 1.25e-5));
      }
    }
    List<String> drawn = List.of(said().substring(1).stripTrailing().split("\r"));
    assertThat(drawn).hasSizeGreaterThan(30);
    int before = 0;
    for (String each : drawn.subList(0, drawn.size() - 1)) { // the last has lost its blanks
      assertThat(each.length()).isLessThan(Math.max(columns, 20)).isGreaterThanOrEqualTo(before);
      before = each.stripTrailing().length();
    }
    assertThat(said()).endsWith("\n").doesNotContain("\u001b");
  }

  @Test
  void shouldShowAllThatMattersOnAnUsualTerminal() {
    try (ProgressLine line = line(400, new ProgressLine.Terminal(80))) {
      line.step(report(1, 1e-4));
      seconds(10);
      line.step(report(123, 1.5e-4));
    }
    assertThat(said())
        .contains("\rstep 123/400 0:23 left 12.2 it/s inst 0.120 prior 0.100 norm 0.50 lr 1.5e-4");
  }

  @Test
  void shouldMakeRoomForMessages() {
    try (ProgressLine line = line(10, new ProgressLine.Terminal(80))) {
      line.at(1);
      line.say("Saved");
      line.at(10);
      line.say("Done");
    }
    assertThat(said().replace(System.lineSeparator(), "\n"))
        .isEqualTo("\rstep 1/10\r         \rSaved\n\rstep 10/10\nDone\n");
  }

  @Test
  void shouldCountPicturesASecondAndSumThemUp() {
    PrintStream stream = new PrintStream(err, true, StandardCharsets.UTF_8);
    try (ProgressLine line = ProgressLine.ofClassImages(stream, 40, null, nanos::get)) {
      line.at(0);
      seconds(10);
      line.at(4);
      seconds(20);
      line.at(12);
      assertThat(line.summary()).isEqualTo("12 of 40 class images in 0:30, 0.400 images/s");
      seconds(170);
      line.at(40);
      assertThat(line.summary()).isEqualTo("40 class images in 3:20, 0.200 images/s");
    }
    assertThat(said().lines())
        .containsExactly(
            "class images 0/40",
            "class images 4/40 | 1:30 left | 0.400 images/s",
            "class images 12/40 | 1:10 left | 0.400 images/s",
            "class images 40/40 | 0:00 left | 0.200 images/s");
  }

  @Test
  void shouldSpeakOfHoursOnlyWhereThereAreAny() {
    assertThat(ProgressLine.time(59.6)).isEqualTo("1:00");
    assertThat(ProgressLine.time(3599)).isEqualTo("59:59");
    assertThat(ProgressLine.time(100_000)).isEqualTo("27:46:40");
  }
}
