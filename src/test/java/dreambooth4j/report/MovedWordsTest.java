package dreambooth4j.report;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.config.Config;
import dreambooth4j.evaluate.RunBleed;
import dreambooth4j.train.TinyRun;
import dreambooth4j.train.TrainingRun;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What a run says at its end of how far other words moved. */
class MovedWordsTest {
  private static final RunBleed.Cost LONG = new RunBleed.Cost(3600, 0.01);

  @TempDir Path folder;
  private final ByteArrayOutputStream said = new ByteArrayOutputStream();

  private static boolean never() {
    return false;
  }

  private TinyRun tiny() throws IOException {
    return new TinyRun(folder)
        .withoutClass()
        .with("class_token", "man")
        .with("n_save_sample", 0)
        .with("max_train_steps", 2)
        .with("learning_rate", 0.01);
  }

  private void run(Config config, RunBleed.Cost cost, BooleanSupplier stop) {
    PrintStream err = new PrintStream(said, true, StandardCharsets.UTF_8);
    RunReport report = new RunReport(err, config.output().outputDir(), List.of(), null, false);
    try (report) {
      assertThat(new TrainingRun(config, report, MovedWordsTest::never).run()).isTrue();
      report.done(true);
    }
    said.reset();
    report.measureBleed(config, "dreambooth bleed a b", cost, stop);
  }

  private String said() {
    return said.toString(StandardCharsets.UTF_8);
  }

  @ParameterizedTest
  @CsvSource({"false, diffusers", "false, safetensors", "true, diffusers"})
  void shouldSayItOfFoldersFilesAndLoras(boolean lora, String form) throws IOException {
    TinyRun tiny = tiny().with("use_lora", lora);
    run((lora ? tiny : tiny.with("save_model_as", form)).config(), LONG, MovedWordsTest::never);
    assertThat(said())
        .containsPattern(
            "How far other words moved towards the subject 'sks, man' \\(0 not at all, 1 all the"
                + " way\\): class 'man' [−0-9.]+; frequent words 'hat' [−0-9.]+;.* rare words '.*' [−0-9.]+;.*"
                + " unrelated prompts [−0-9.]+;"
                + " to measure more: dreambooth bleed a b");
    assertThat(Files.readString(tiny.output().resolve("report.html")))
        .contains("Words that moved", "a pizza", "The run is complete");
  }

  /** Vectors of a word alone move nothing else; beside a LoRA they are read with it. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void shouldReadTheSubjectByItsOwnVectors(boolean lora) throws IOException {
    TinyRun tiny =
        tiny()
            .with("instance_token", "<sks>")
            .with("placeholder_token", "<sks>")
            .with("num_vectors", 2);
    run(
        (lora ? tiny.with("use_lora", true) : tiny.with("train_unet", false)).config(),
        LONG,
        MovedWordsTest::never);
    assertThat(said()).contains("towards the subject '<sks>'").doesNotContain("not measured");
    if (lora) {
      assertThat(said()).doesNotContain("class 'man' 0.00");
    } else {
      assertThat(said()).contains("class 'man' 0.00", "unrelated prompts 0.00");
    }
  }

  @Test
  void shouldBeLeftOutWhereItTakesTooLong() throws IOException {
    run(tiny().config(), new RunBleed.Cost(3, 0.05), MovedWordsTest::never);
    assertThat(said())
        .contains("is not measured: it would take about ", " s, more than 5 % of the run's time")
        .contains("; to measure it: dreambooth bleed a b");
  }

  @Test
  void shouldEndWhenItIsAskedTo() throws IOException {
    run(tiny().config(), LONG, () -> true);
    assertThat(said()).contains("is not measured: it was stopped");
  }

  @Test
  void shouldSayNothingWhereItIsNotWanted() throws IOException {
    run(tiny().with("bleed_report", false).config(), LONG, MovedWordsTest::never);
    assertThat(said()).isEmpty();
  }

  /** A run whose base model is gone at its end has been a run all the same. */
  @Test
  void shouldCostNoRunWhatStandsInItsWay() throws IOException {
    TinyRun tiny = tiny();
    Config config = tiny.config();
    Config moved =
        tiny.with("pretrained_model_name_or_path", folder.resolve("gone").toString()).config();
    PrintStream err = new PrintStream(said, true, StandardCharsets.UTF_8);
    RunReport report = new RunReport(err, config.output().outputDir(), List.of(), null, false);
    try (report) {
      assertThat(new TrainingRun(config, report, MovedWordsTest::never).run()).isTrue();
    }
    report.measureBleed(moved, "dreambooth bleed a b", LONG, MovedWordsTest::never);
    assertThat(said()).contains("is not measured: ", "gone");
  }
}
