package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dreambooth4j.FailingFiles;
import dreambooth4j.Problem;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a run goes on from: {@code latest} is the run that was started last, however it ended. */
class ResumeTest {
  private static final String UNET = "unet/diffusion_pytorch_model.safetensors";
  private static final String LATEST = "latest";

  /** Where a run is killed: over its caches, when it begins, when it writes a checkpoint. */
  private static final String CACHES = "mkdir cache";

  private static final String BEGINNING = "move .dreambooth-changes.part .dreambooth-changes";
  private static final String BEGUN = "move .dreambooth-changes .dreambooth-changes.part";
  private static final String CHECKPOINT = "mkdir checkpoint-3";

  @TempDir Path folder;

  @SuppressWarnings("NullAway.Init")
  private TinyRun earlier;

  @BeforeEach
  void fourSteps() throws IOException {
    earlier = tiny("earlier").with("checkpointing_steps", 1);
  }

  private TinyRun tiny(String name) throws IOException {
    return new TinyRun(folder.resolve(name))
        .withoutClass()
        .with("n_save_sample", 0)
        .with("max_train_steps", 4);
  }

  private static void trains(TinyRun run) {
    assertThat(TinyRun.run(run.config())).isTrue();
  }

  private static void isKilled(TinyRun run, @Nullable String resume, String call)
      throws IOException {
    try (FailingFiles failing = FailingFiles.at(FailingFiles.How.KILLED, call)) {
      TinyRun.run(TinyRun.through(failing, run.config(), resume));
      throw new AssertionError("nothing was killed");
    } catch (FailingFiles.Killed e) {
      assertThat(e.getMessage()).matches(call);
    }
  }

  private static List<String> names(Path folder, String begin) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files
          .map(file -> file.getFileName().toString())
          .filter(name -> name.startsWith(begin))
          .sorted()
          .toList();
    }
  }

  private static List<String> metrics(Path file) throws IOException {
    return Files.readAllLines(file).stream()
        .map(line -> line.replaceAll(".*\"step\":(\\d+).*", "$1"))
        .toList();
  }

  /** As a launcher does that starts a job again, each time with the same arguments. */
  @Test
  void shouldBeginOrGoOnWithAuto() throws IOException {
    TinyRun again = tiny("again").with("checkpointing_steps", 1).with("max_train_steps", 2);
    trains(again.with("resume_from_checkpoint", "auto"));
    trains(again.with("max_train_steps", 4));
    trains(earlier);
    assertThat(again.output().resolve(UNET)).hasSameBinaryContentAs(earlier.output().resolve(UNET));
    assertThat(metrics(again.output().resolve("metrics.jsonl")))
        .containsExactly("1", "2", "3", "4");
  }

  @ParameterizedTest
  @ValueSource(strings = {CACHES, BEGINNING, BEGUN, CHECKPOINT})
  void shouldGoOnFromAnotherFolderWhereverItWasKilled(String call) throws IOException {
    trains(earlier);
    String from = earlier.output().resolve("checkpoint-2").toString();
    TinyRun run = tiny("new").with("checkpointing_steps", 3);
    isKilled(run, from, call);
    trains(run.with("resume_from_checkpoint", LATEST));
    assertThat(metrics(run.output().resolve("metrics.jsonl"))).containsExactly("3", "4");
    assertThat(run.output().resolve(UNET)).hasSameBinaryContentAs(earlier.output().resolve(UNET));
    assertThat(names(run.output(), ".")).containsExactly(".lock", ".model.json");
  }

  @Test
  void shouldSayThatWhatItWentOnFromIsGone() throws IOException {
    trains(earlier);
    Path from = earlier.output().resolve("checkpoint-2");
    TinyRun run = tiny("new").with("checkpointing_steps", 3);
    isKilled(run, from.toString(), CHECKPOINT);
    Files.delete(from.resolve("training_state.safetensors"));
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> trains(run.with("resume_from_checkpoint", LATEST)))
        .withMessageContainingAll(from.toString(), "missing or not a checkpoint", "put it back");
  }

  /** The steps that were gone back behind are another run's, whatever their files' times say. */
  @ParameterizedTest
  @ValueSource(strings = {CACHES, BEGINNING, BEGUN, CHECKPOINT})
  void shouldGoOnFromTheStepThatItWentBackTo(String call) throws IOException {
    trains(earlier.with("save_model_every", 2).with("validation_steps", 1));
    TinyRun whole = tiny("whole").with("checkpointing_steps", 3).with("learning_rate", 0.01);
    whole.with("resume_from_checkpoint", earlier.output().resolve("checkpoint-2"));
    trains(whole);
    earlier.with("checkpointing_steps", 3).with("learning_rate", 0.01);
    earlier.with("cache_dir", folder.resolve("other/cache"));
    isKilled(earlier, "checkpoint-2", call);
    trains(earlier.with("resume_from_checkpoint", LATEST));
    Path output = earlier.output();
    assertThat(output.resolve(UNET)).hasSameBinaryContentAs(whole.output().resolve(UNET));
    assertThat(names(output, "checkpoint-"))
        .containsExactly("checkpoint-1", "checkpoint-2", "checkpoint-3");
    assertThat(names(output.resolve("checkpoints-1"), "")).containsExactly("checkpoint-3");
    assertThat(metrics(output.resolve("metrics.jsonl"))).containsExactly("1", "2", "3", "4");
    assertThat(metrics(output.resolve("metrics-1.jsonl"))).containsExactly("1", "2", "3", "4");
    assertThat(names(output, "model-")).containsExactly("model-2");
    assertThat(names(output, ".")).containsExactly(".lock", ".model.json");
  }

  /**
   * A run that resumes from an older checkpoint does not take samples and models of the other steps
   * for the new ones'.
   */
  @Test
  void shouldSetAsideSamplesAndModelsOfTheStepsThatItWentBackBehind() throws IOException {
    earlier.with("save_model_every", 3).with("validation_steps", 1).with("n_save_sample", 1);
    trains(earlier.with("save_infer_steps", 1));
    trains(earlier.with("resume_from_checkpoint", "checkpoint-2").with("max_train_steps", 3));
    Path output = earlier.output();
    assertThat(names(output, "model-")).isEmpty();
    assertThat(names(output.resolve("models-1"), "")).containsExactly("model-3");
    assertThat(names(output.resolve("samples-1"), ""))
        .containsExactly("000003-sks.png", "000004-sks.png");
    assertThat(names(output.resolve("samples"), "")).hasSize(4).contains("000003-sks.png");
    assertThat(output.resolve("config-1.yaml")).content().contains("max_train_steps: 4");
  }

  @Test
  void shouldTakeTheCheckpointOfMostStepsWhateverTheTimesOfFilesSay() throws IOException {
    trains(earlier);
    Path first = earlier.output().resolve("checkpoint-1/training_state.safetensors");
    Files.setLastModifiedTime(
        first, java.nio.file.attribute.FileTime.from(java.time.Instant.now().plusSeconds(9)));
    trains(earlier.with("resume_from_checkpoint", LATEST));
    assertThat(metrics(earlier.output().resolve("metrics.jsonl"))).hasSize(4);
    assertThat(names(earlier.output(), "checkpoints-")).isEmpty();
    assertThat(new Checkpoints(earlier.config().output()).newest()).hasFileName("checkpoint-3");
  }

  @Test
  void shouldRefuseWhatIsNoCheckpointBeforeAnythingIsMade() throws IOException {
    Path none = Files.createDirectories(folder.resolve("checkpoint-9"));
    earlier.with("resume_from_checkpoint", none);
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> trains(earlier))
        .withMessageContaining("expected a checkpoint with a training_state.safetensors");
    assertThat(earlier.output()).doesNotExist();
  }

  /** A model on the way that was being put in its place is complete afterwards, in both forms. */
  @ParameterizedTest
  @ValueSource(strings = {"diffusers", "safetensors", "both"})
  void shouldFinishAModelOnTheWay(String form) throws IOException {
    earlier.with("checkpointing_steps", 2).with("save_model_every", 2).with("save_model_as", form);
    String last = form.equals("safetensors") ? "model-2.safetensors" : "model_index.json";
    trains(earlier);
    List<String> whole = files(earlier.output().resolve("model-2"));
    TinyRun run = tiny("killed").with("checkpointing_steps", 2).with("save_model_every", 2);
    isKilled(run.with("save_model_as", form), null, "move \\d+ " + last);
    Path model = run.output().resolve("model-2");
    assertThat(model.resolve(".dreambooth-changes")).exists();
    trains(run.with("resume_from_checkpoint", LATEST));
    assertThat(files(model)).isEqualTo(whole);
    for (String file : whole) {
      assertThat(model.resolve(file))
          .hasSameBinaryContentAs(earlier.output().resolve("model-2").resolve(file));
    }
  }

  /** Of a model that was asked for in one form only there is the other to be saved yet. */
  @Test
  void shouldSaveTheFormOfAModelOnTheWayThatIsNotThere() throws IOException {
    earlier.with("checkpointing_steps", 2).with("save_model_every", 2);
    trains(earlier);
    earlier.with("save_model_as", "both").with("resume_from_checkpoint", LATEST);
    trains(earlier);
    assertThat(earlier.output().resolve("model-2/model-2.safetensors")).exists();
  }

  private static List<String> files(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      return files
          .filter(Files::isRegularFile)
          .map(file -> folder.relativize(file).toString())
          .sorted()
          .toList();
    }
  }
}
