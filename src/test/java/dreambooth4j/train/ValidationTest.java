package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dreambooth4j.FailingFiles;
import dreambooth4j.FolderEntries;
import dreambooth4j.Problem;
import dreambooth4j.Sha256;
import dreambooth4j.config.Config;
import dreambooth4j.data.HeldOut;
import dreambooth4j.data.Picture;
import dreambooth4j.data.TestPictures;
import dreambooth4j.distributed.Ranks;
import dreambooth4j.engine.Arena;
import dreambooth4j.pipeline.Caches;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.report.QuietReport;
import dreambooth4j.report.RunReport;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.ModelFolder;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Held-out pictures: what is measured on them, and what is done about it. */
class ValidationTest {
  private static final String UNET = "unet/diffusion_pytorch_model.safetensors";

  @TempDir private Path folder;

  @SuppressWarnings("NullAway.Init")
  private TinyRun tiny;

  @BeforeEach
  void pictures() throws IOException {
    tiny =
        new TinyRun(folder)
            .withPaintedClassImages()
            .with("n_save_sample", 0)
            .with("max_train_steps", 6);
    TestPictures.paint(folder.resolve("held"), "h0", 32, 32, "sks, man, hat", 50);
    TestPictures.paint(folder.resolve("held"), "h1", 48, 32, "sks, man, tree", 51);
  }

  private void run(Path output) throws IOException {
    assertThat(TinyRun.run(tiny.with("output_dir", output).config())).isTrue();
  }

  /** A column of metrics.jsonl by step. */
  private static Map<Integer, Double> column(Path output, String name) throws IOException {
    Map<Integer, Double> column = new TreeMap<>();
    for (String line : Files.readAllLines(output.resolve("metrics.jsonl"))) {
      JsonNode values = new ObjectMapper().readTree(line);
      if (values.has(name)) {
        column.put(values.path("step").asInt(), values.path(name).asDouble());
      }
    }
    return column;
  }

  private static int lastStep(Path output) throws IOException {
    return column(output, "loss").keySet().stream().max(Integer::compare).orElseThrow();
  }

  /** The text encoder trains too, for a measurement must not disturb what it learns either. */
  @Test
  void shouldMeasureWithoutChangingTheRun() throws IOException {
    tiny.with("train_text_encoder", true).with("use_ema", true);
    Path without = folder.resolve("without");
    run(without);
    Path with = folder.resolve("with");
    tiny.with("validation_data_dir", folder.resolve("held")).with("validate_every_n_steps", 4);
    run(with);

    assertThat(Sha256.of(with.resolve(UNET))).isEqualTo(Sha256.of(without.resolve(UNET)));
    assertThat(column(with, "loss")).isEqualTo(column(without, "loss"));
    Map<Integer, Double> losses = column(with, "validation_loss");
    assertThat(losses).containsOnlyKeys(0, 4, 6);
    assertThat(losses.values()).doesNotHaveDuplicates().allMatch(loss -> loss > 0 && loss < 10);
    assertThat(column(with, "validation_prior_loss")).containsOnlyKeys(0, 4, 6);
    assertThat(column(without, "validation_loss")).isEmpty();

    tiny.with("seed", 7);
    Path other = folder.resolve("other");
    run(other);
    assertThat(column(other, "validation_loss").get(0))
        .isEqualTo(losses.get(0)); // whatever the seed
    assertThat(column(other, "validation_loss").get(6)).isNotEqualTo(losses.get(6));
  }

  @Test
  void shouldKeepAShareOfThePicturesFromTraining() {
    HeldOut some = HeldOut.scan(tiny.with("validation_share", 0.4).config());
    assertThat(some.pictures()).hasSize(2);
    assertThat(some.concepts().get(0).pictures())
        .hasSize(3)
        .doesNotContainAnyElementsOf(some.pictures());
    assertThat(HeldOut.scan(tiny.with("seed", 9).config()).pictures())
        .extracting(Picture::file)
        .isEqualTo(some.pictures().stream().map(Picture::file).toList());
    HeldOut both = HeldOut.scan(tiny.with("validation_data_dir", folder.resolve("held")).config());
    assertThat(both.pictures()).hasSize(4);
  }

  /** A run of steps so large that the loss soon rises: it ends early. */
  private TinyRun goingWrong() {
    return tiny.with("validation_data_dir", folder.resolve("held"))
        .with("validate_every_n_steps", 1)
        .with("checkpointing_steps", 1)
        .with("learning_rate", 0.1)
        .with("max_train_steps", 40)
        .with("early_stopping_patience", 1);
  }

  @Test
  void shouldKeepTheBestModelAndEndWhenItGetsNoBetter() throws IOException {
    goingWrong().with("save_model_every", 1).with("checkpoints_total_limit", 2);
    tiny.with("save_best", true);
    Path output = folder.resolve("early");
    run(output);

    Map<Integer, Double> losses = column(output, "validation_loss");
    losses.remove(0);
    int best = losses.entrySet().stream().min(Map.Entry.comparingByValue()).orElseThrow().getKey();
    int last = lastStep(output);
    assertThat(last).as("%s", losses).isEqualTo(best + 1).isLessThan(40);
    assertThat(Sha256.of(output.resolve("model-best").resolve(UNET)))
        .isEqualTo(Sha256.of(output.resolve("model-" + best).resolve(UNET)))
        .isNotEqualTo(Sha256.of(output.resolve(UNET)));

    Path resumed = folder.resolve("resumed");
    tiny.with("resume_from_checkpoint", output.resolve("checkpoint-" + best));
    run(resumed);
    assertThat(lastStep(resumed)).isEqualTo(last);
    assertThat(Sha256.of(resumed.resolve(UNET))).isEqualTo(Sha256.of(output.resolve(UNET)));

    Path again = folder.resolve("early"); // what the run left is set aside
    tiny.without("resume_from_checkpoint").with("max_train_steps", 2);
    run(again);
    assertThat(again.resolve("models-1/model-best").resolve(UNET)).exists();
  }

  /** Runs, and says what the terminal showed. */
  private String says(Config config, BooleanSupplier stop) {
    ByteArrayOutputStream said = new ByteArrayOutputStream();
    PrintStream shown = new PrintStream(said, true, StandardCharsets.UTF_8);
    Path output = config.output().outputDir();
    try (RunReport report = new RunReport(shown, output, List.of(), null, false)) {
      new TrainingRun(config, report, stop).run();
    }
    return said.toString(StandardCharsets.UTF_8).replaceAll("\\s+", " ");
  }

  private static boolean isDone(Path output, int step) {
    try {
      return Files.exists(output.resolve("metrics.jsonl"))
          && column(output, "loss").containsKey(step);
    } catch (IOException e) {
      return false;
    }
  }

  private static void lose(Path file) {
    try {
      if (Files.isDirectory(file)) {
        FolderEntries.of(file).forEach(ValidationTest::lose);
      }
      Files.deleteIfExists(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A measurement belongs to a step; a run that is stopped right after that step owes it. */
  @Test
  void shouldMeasureWhatAStoppedRunOwes() throws IOException {
    tiny.with("validation_data_dir", folder.resolve("held"))
        .with("validate_every_n_steps", 2)
        .with("save_best", true);
    Path whole = folder.resolve("whole");
    run(whole);
    Path stopped = folder.resolve("stopped");
    says(tiny.with("output_dir", stopped).config(), () -> isDone(stopped, 2));
    assertThat(column(stopped, "validation_loss")).containsOnlyKeys(0);
    tiny.with("resume_from_checkpoint", "latest");
    run(stopped);
    assertThat(column(stopped, "validation_loss")).isEqualTo(column(whole, "validation_loss"));
    assertThat(stopped.resolve("model-best").resolve(UNET))
        .hasSameBinaryContentAs(whole.resolve("model-best").resolve(UNET));
  }

  /** Killed after the checkpoint of its last step, it has nothing more to learn. */
  @Test
  void shouldNotTrainOnWhereItHadAlreadyEndedEarly() throws IOException {
    goingWrong();
    Path output = folder.resolve("early");
    run(output);
    int last = lastStep(output);
    assertThat(last).isLessThan(40);
    assertThat(output.resolve("checkpoint-" + last)).exists();
    tiny.with("resume_from_checkpoint", "latest");
    run(output);
    assertThat(lastStep(output)).isEqualTo(last);
  }

  /** Losses on other pictures are no better and no worse than those before. */
  @Test
  void shouldBeginAnewWithTheBestWhereOtherPicturesAreHeldOut() throws IOException {
    goingWrong().with("save_best", true);
    Path output = folder.resolve("early");
    run(output);
    int last = lastStep(output);
    assertThat(last).isLessThan(40);

    Path moved = Files.move(folder.resolve("held"), folder.resolve("moved"));
    tiny.with("resume_from_checkpoint", "latest").with("validation_data_dir", moved);
    assertThat(says(tiny.config(), () -> false)).doesNotContain("anew");
    assertThat(lastStep(output)).isEqualTo(last);

    TestPictures.paint(moved, "h2", 32, 32, "sks, man, tree", 52);
    byte[] best = Files.readAllBytes(output.resolve("model-best").resolve(UNET));
    assertThat(says(tiny.config(), () -> false))
        .contains(
            "the loss on held-out pictures cannot be compared",
            "save_best and early_stopping_patience start again",
            "Best so far, after step " + last + ":");
    assertThat(output.resolve("models-1/model-best").resolve(UNET)).hasBinaryContent(best);
    assertThat(lastStep(output)).isGreaterThan(last);
  }

  /** What is compared depends on all of this, and on nothing of the folder's name. */
  @Test
  void shouldTellWhatIsMeasuredFromAnything() throws IOException {
    tiny.with("validation_data_dir", folder.resolve("held"));
    String subject = subject();
    Path moved = Files.move(folder.resolve("held"), folder.resolve("moved"));
    tiny.with("validation_data_dir", moved);
    assertThat(subject()).isEqualTo(subject);
    tiny.with("clip_skip", 2);
    String skipped = subject();
    tiny.without("clip_skip").with("zero_terminal_snr", true).with("v_parameterization", true);
    String schedule = subject();
    tiny.without("zero_terminal_snr").without("v_parameterization").with("resolution", 64);
    String resolution = subject();
    tiny.with("resolution", 32);
    Files.writeString(moved.resolve("h0.txt"), "sks, man, red hat");
    String caption = subject();
    assertThat(List.of(subject, skipped, schedule, resolution, caption)).doesNotHaveDuplicates();
  }

  private String subject() {
    Config config = tiny.config();
    HeldOut held = HeldOut.scan(config);
    try (Arena run = Arena.open("run");
        StableDiffusion model =
            ModelToTrain.load(
                run, ModelFolder.open(TinyRun.MODEL, null), config, held.concepts())) {
      Caches caches =
          new Caches(run, config, ModelFolder.open(TinyRun.MODEL, null), model, note -> {});
      return new Validation(config, model, caches, held.pictures(), Map.of(), Ranks.alone())
          .subject();
    }
  }

  /** What measures is not what learns: without it the model is worth as much. */
  @Test
  void shouldSaveTheModelWhereItCannotBeMeasured() throws IOException {
    Path output = folder.resolve("unmeasured");
    tiny.with("validation_data_dir", folder.resolve("held"))
        .with("validate_every_n_steps", 2)
        .with("max_train_steps", 3)
        .with("output_dir", output);
    List<String> warnings = new ArrayList<>();
    PrintStream nowhere =
        new PrintStream(OutputStream.nullOutputStream(), true, StandardCharsets.UTF_8);
    RunListener report =
        new QuietReport(nowhere) {
          @Override
          public void ready(Beginning beginning) {
            lose(folder.resolve("held/h0.png"));
          }

          @Override
          public void warning(String message) {
            warnings.add(message);
          }
        };
    assertThat(new TrainingRun(tiny.config(), report, () -> false).run()).isTrue();
    assertThat(String.join("; ", warnings))
        .contains("no loss on held-out pictures before step 1: ", "after step 2: ", "step 3: ");
    assertThat(output.resolve(UNET)).exists();
    assertThat(Mark.UNFINISHED.isIn(output)).isFalse();
  }

  /** What it goes on from had its best model elsewhere. */
  @Test
  void shouldSaveTheBestOfWhatFollowsWhereTheBestIsNotThere() throws IOException {
    tiny.with("validation_data_dir", folder.resolve("held"))
        .with("validate_every_n_steps", 1)
        .with("checkpointing_steps", 1)
        .with("learning_rate", 0.1)
        .with("max_train_steps", 4);
    Path first = folder.resolve("first");
    run(first);
    Map<Integer, Double> losses = column(first, "validation_loss");
    losses.remove(0);
    int best = losses.entrySet().stream().min(Map.Entry.comparingByValue()).orElseThrow().getKey();
    assertThat(best).as("%s", losses).isLessThan(3);
    tiny.with("save_best", true);

    Path same = folder.resolve("same");
    tiny.with("resume_from_checkpoint", first.resolve("checkpoint-" + best));
    run(same);
    tiny.without("resume_from_checkpoint").with("max_train_steps", best);
    Path upToBest = folder.resolve("up to best");
    run(upToBest);
    assertThat(same.resolve("model-best").resolve(UNET))
        .as("what it goes on from is the best")
        .hasSameBinaryContentAs(upToBest.resolve(UNET));

    Path later = folder.resolve("later");
    tiny.with("resume_from_checkpoint", first.resolve("checkpoint-3")).with("max_train_steps", 4);
    String said = says(tiny.with("output_dir", later).config(), () -> false);
    assertThat(said).contains("of step " + best, "is missing from");
    assertThat(later.resolve("model-best").resolve(UNET))
        .hasSameBinaryContentAs(later.resolve(UNET));
  }

  /** Killed while the best model takes its place, followed by a run that keeps none. */
  @Test
  void shouldFinishABestModelThatWasBeingPutInItsPlace() throws IOException {
    tiny.with("validation_data_dir", folder.resolve("held"))
        .with("validate_every_n_steps", 1)
        .with("save_best", true)
        .with("max_train_steps", 1);
    FailingFiles failing =
        FailingFiles.at(
            FailingFiles.How.KILLED, "move \\d+ " + UNET.substring(UNET.indexOf('/') + 1));
    assertThatThrownBy(() -> TinyRun.run(TinyRun.through(failing, tiny.config(), null)))
        .isInstanceOf(FailingFiles.Killed.class);
    failing.close();
    Path best = tiny.output().resolve("model-best");
    assertThat(best.resolve(".dreambooth-changes")).exists();
    assertThatThrownBy(() -> ModelFolder.open(best, null))
        .hasMessageContaining("start one with output_dir " + tiny.output() + " (");
    tiny.without("save_best");
    run(tiny.output());
    Path aside = tiny.output().resolve("models-1/model-best");
    assertThat(aside.resolve(".dreambooth-changes")).doesNotExist();
    assertThat(ModelFolder.open(aside, null).hasWeights(Component.UNET)).isTrue();
  }

  /** The disk was full when the best model was to take the place of the one before it. */
  @Test
  void shouldSaveTheBestThatItGoesOnFromWhereAnotherLiesInItsPlace() throws IOException {
    tiny.with("validation_data_dir", folder.resolve("held"))
        .with("validate_every_n_steps", 1)
        .with("checkpointing_steps", 1)
        .with("save_best", true);
    String unet = UNET.substring(UNET.indexOf('/') + 1);
    FailingFiles failing =
        new FailingFiles(FailingFiles.How.ERROR, 0).andFailsAt("move " + unet + " old-\\d+");
    Path output = tiny.output();
    says(TinyRun.through(failing, tiny.config(), null), () -> isDone(output, 3));
    failing.close();
    lose(output.resolve("checkpoint-3"));
    Map<Integer, Double> losses = column(output, "validation_loss");
    assertThat(losses.get(2)).as("%s", losses).isLessThan(losses.get(1));
    assertThat(says(tiny.with("resume_from_checkpoint", "latest").config(), () -> false))
        .contains("Best so far, after step 2");
  }

  @Test
  void shouldRememberTheLeastLossToTheBit() {
    BestLoss first = new BestLoss();
    assertThat(first.measures("these")).isNull();
    first.add(0.3, 2);
    first.saved(0.3);
    first.add(0.1 + 0.2, 4);
    first.add(Double.NaN, 6);
    BestLoss second = new BestLoss();
    second.restore(first.toString());
    assertThat(second).hasToString(first.toString());
    assertThat(second.since()).isEqualTo(2);
    assertThat(second.measured()).isEqualTo(6);
    assertThat(second.isWorthSaving(0.3)).isFalse();
    BestLoss older = new BestLoss();
    older.restore("0x1p0 2 1 4 0x1p0");
    assertThat(older.step()).isEqualTo(2);
    assertThat(older.measures("these")).contains("or the checkpoint does not record them");
    assertThat(second.measures("these")).isNull();
    second.add(Math.nextDown(0.3), 8);
    assertThat(second.step()).isEqualTo(8);
    for (String none : List.of("something else", "0x1p0 1 1 1 x p", "x 1 1 1 0x1p0 p")) {
      second.restore(none);
      assertThat(second.step()).as(none).isEqualTo(8);
      assertThat(second.isWorthSaving(0.3)).as(none).isFalse();
    }
  }

  @Test
  void shouldSayWhyNothingBetterIsWaitedFor() {
    BestLoss losses = new BestLoss();
    losses.add(Double.NaN, 2);
    losses.add(Double.POSITIVE_INFINITY, 4);
    assertThat(losses.waited())
        .isEqualTo("the loss on held-out pictures was not a finite number in 2 measurements");
    losses.add(0.25, 6);
    losses.add(Double.NaN, 8);
    assertThat(losses.waited())
        .endsWith("was lowest after step 6, 0.2500, and not lower in 1 measurement since");
  }

  /** On a full disk the best one was not saved; the next is better than what lies there. */
  @Test
  void shouldSaveWhatIsBetterThanTheModelThatLiesThere() {
    BestLoss losses = new BestLoss();
    losses.add(0.5, 1);
    losses.saved(0.5);
    losses.add(0.2, 2); // could not be saved
    losses.add(0.3, 3);
    assertThat(losses.step()).isEqualTo(2);
    assertThat(losses.isWorthSaving(0.3)).isTrue();
    assertThat(losses.isWorthSaving(0.5)).isFalse();
    losses.lost();
    assertThat(losses.isWorthSaving(9)).isTrue();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "save_best=true | save_best needs pictures to measure on",
        "early_stopping_patience=3 | early_stopping_patience needs pictures to measure on",
        "validation_share=0.7 | from 0 to 0.5",
        "validate_every_n_steps=0 | validate_every_n_steps"
      })
  void shouldRefuseWhatCannotBeMeasured(String options, String expected) {
    assertThatThrownBy(() -> tiny.withOptions(options).config())
        .isInstanceOf(Problem.class)
        .hasMessageContaining(expected);
  }

  @Test
  void shouldRefuseHeldOutPicturesThatAreTrainedOn() {
    tiny.with("validation_data_dir", tiny.pictures());
    assertThatThrownBy(() -> HeldOut.scan(tiny.config()))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("holds no picture that is not trained on");
    tiny.with("validation_data_dir", folder.resolve("lost"));
    assertThatThrownBy(() -> HeldOut.scan(tiny.config())).isInstanceOf(Problem.class);
  }
}
