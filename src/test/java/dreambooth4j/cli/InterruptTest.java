package dreambooth4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.data.Bucket;
import dreambooth4j.data.ImageReader;
import dreambooth4j.engine.Arena;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.train.TinyRun;
import dreambooth4j.weights.ModelFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a run leaves when it is ended from outside, in processes of their own. */
@DisabledOnOs(OS.WINDOWS)
@Timeout(120)
class InterruptTest {
  private static final String UNET = "unet/diffusion_pytorch_model.safetensors";
  private static final String LATEST = "--resume_from_checkpoint=latest";
  private static final int STEPS = 80;

  @TempDir Path folder;

  private TinyRun longRun(String name) throws IOException {
    return new TinyRun(folder.resolve(name))
        .withPaintedClassImages()
        .with("n_save_sample", 0)
        .with("max_train_steps", STEPS);
  }

  private static List<Path> files(Path folder) throws IOException {
    try (Stream<Path> all = Files.walk(folder)) {
      return all.filter(Files::isRegularFile).toList();
    }
  }

  private static void assertLoads(Path folder) {
    try (Arena run = Arena.open("run");
        StableDiffusion model = StableDiffusion.load(run, ModelFolder.open(folder, null))) {
      assertThat(model.firstBadWeight()).isNull();
    }
  }

  @Test
  void shouldSaveOnCtrlCAndGoOnToTheSameWeights() throws Exception {
    TinyRun whole = longRun("whole");
    assertThat(Ran.of(whole.arguments("train")).exitCode()).isZero();
    TinyRun stopped = longRun("stopped");
    try (Child child = Child.of(stopped.arguments("train"))) {
      child.waitFor("step 1/" + STEPS).signal("INT").signal("INT"); // an impatient user
      assertThat(child.exitCode()).as(child.said()).isEqualTo(Interrupt.EXIT_CODE);
      assertThat(child.said())
          .contains("Stopping: ")
          .containsPattern("Saved after step \\d+: \\S+checkpoint-")
          .contains("Peak memory")
          .contains("Go on with the run:\n  dreambooth train ")
          .contains(" --resume_from_checkpoint latest\n")
          .doesNotContain("step " + STEPS + "/");
    }
    assertThat(stopped.output().resolve("report.html")).content().contains("The run was stopped");
    assertLoads(stopped.output());
    Ran resumed = Ran.of(stopped.arguments("train", "--resume_from_checkpoint=latest"));
    assertThat(resumed.exitCode()).as(resumed.err()).isZero();
    assertThat(stopped.output().resolve(UNET)).hasSameBinaryContentAs(whole.output().resolve(UNET));
    assertThat(Files.readAllLines(stopped.output().resolve("metrics.jsonl"))).hasSize(STEPS);
    assertThat(stopped.output().resolve("report.html")).content().contains("The run is complete");
  }

  @Test
  void shouldSaveWhenItIsTerminated() throws Exception {
    TinyRun stopped = longRun("stopped");
    try (Child child = Child.of(stopped.arguments("train"))) {
      child.waitFor("step 1/" + STEPS).signal("TERM");
      assertThat(child.exitCode()).as(child.said()).isEqualTo(Interrupt.EXIT_CODE);
      assertThat(child.said()).containsPattern("Saved after step \\d+: \\S+checkpoint-");
    }
    assertLoads(stopped.output());
  }

  @Test
  void shouldHaveItsFolderAloneUntilItIsKilled() throws Exception {
    TinyRun tiny = longRun("killed");
    try (Child child = Child.of(tiny.arguments("train"))) {
      child.waitFor("step 1/" + STEPS);
      Ran other = Ran.of(tiny.arguments("train"));
      assertThat(other.exitCode()).as(other.err()).isEqualTo(2);
      assertThat(other.err()).contains("another run writes to output_dir " + tiny.output());
      assertThat(child.signal("KILL").exitCode()).as(child.said()).isEqualTo(137);
    }
    Ran after = Ran.of(tiny.with("max_train_steps", 1).arguments("train"));
    assertThat(after.exitCode()).as(after.err()).isZero();
  }

  @Test
  void shouldLeaveWholeClassImagesOnly() throws Exception {
    TinyRun tiny =
        new TinyRun(folder).with("num_class_images_per", 40).with("sample_batch_size", 1);
    try (Child child = Child.of(tiny.arguments("train"))) {
      child.waitFor("class images 1/200").signal("INT");
      assertThat(child.exitCode()).as(child.said()).isEqualTo(Interrupt.EXIT_CODE);
    }
    List<Path> left = files(tiny.classImages());
    assertThat(left).hasSizeBetween(3, 597);
    for (Path file : left) {
      assertThat(file.toString()).matches(".*/[0-9a-f]{40}\\.(png|txt|json)");
      if (file.toString().endsWith(".png")) {
        ImageReader.read(file, new Bucket(32, 32));
        assertThat(Path.of(file.toString().replace(".png", ".txt"))).exists();
      }
    }
    assertThat(tiny.output().resolve("unet")).doesNotExist();
  }

  /** An earlier run's checkpoints lie there until it begins: they are not what it goes on with. */
  @ParameterizedTest
  @CsvSource({"KILL, false", "KILL, true", "INT, true", "TERM, true"})
  void shouldGoOnWithTheRunThatWasEndedOverItsClassImages(String signal, boolean overAnother)
      throws Exception {
    TinyRun whole = runWithClassImages("whole");
    assertThat(Ran.of(whole.arguments("train")).exitCode()).isZero();
    TinyRun ended = runWithClassImages("ended");
    if (overAnother) {
      String[] others = {"--class_data_dir=" + folder.resolve("c"), "--save_state_after=true"};
      assertThat(Ran.of(ended.arguments("train", others)).exitCode()).isZero();
    }
    for (List<String> arguments :
        List.of(ended.arguments("train"), ended.arguments("train", LATEST))) {
      try (Child child = Child.of(arguments)) {
        child.waitFor("class images ").signal(signal);
        assertThat(child.exitCode()).as(child.said()).isEqualTo(signal.equals("KILL") ? 137 : 130);
        assertThat(child.said().contains("goes on with --resume_from_checkpoint checkpoint-2"))
            .as(child.said())
            .isEqualTo(overAnother && !signal.equals("KILL"));
      }
    }
    Ran again = Ran.of(ended.arguments("train", LATEST));
    assertThat(again.exitCode()).as(again.err()).isZero();
    assertThat(again.err())
        .contains("ended before its first checkpoint: training starts from the" + " beginning");
    assertThat(ended.output().resolve(UNET)).hasSameBinaryContentAs(whole.output().resolve(UNET));
    assertThat(Files.exists(ended.output().resolve("checkpoints-1"))).isEqualTo(overAnother);
    assertThat(ended.output().resolve(".starting")).doesNotExist();
  }

  private TinyRun runWithClassImages(String name) throws IOException {
    return new TinyRun(folder.resolve(name))
        .with("n_save_sample", 0)
        .with("max_train_steps", 2)
        .with("num_class_images_per", 8)
        .with("sample_batch_size", 1);
  }

  /** Whoever forgot to say that the run goes on stops at once, and says so then. */
  @Test
  void shouldLeaveAnEarlierRunToBeResumedWhereItIsStoppedOverItsClassImages() throws Exception {
    TinyRun tiny = runWithClassImages("stopped");
    String[] others = {"--class_data_dir=" + folder.resolve("c"), "--save_state_after=true"};
    assertThat(Ran.of(tiny.arguments("train", others)).exitCode()).isZero();
    try (Child child = Child.of(tiny.arguments("train"))) {
      child.waitFor("class images 1/").signal("INT");
      assertThat(child.exitCode()).as(child.said()).isEqualTo(Interrupt.EXIT_CODE);
    }
    String named = "--resume_from_checkpoint=checkpoint-2"; // as it is told
    String[] more = {others[0], "--max_train_steps=3", named};
    Ran resumed = Ran.of(tiny.arguments("train", more));
    assertThat(resumed.exitCode()).as(resumed.err()).isZero();
    assertThat(resumed.err()).contains("Training: 3 steps, ", "from step 3");
    assertThat(tiny.output().resolve("checkpoints-1")).doesNotExist();
    Ran latest = Ran.of(tiny.arguments("train", others[0], "--max_train_steps=4", LATEST));
    assertThat(latest.err()).contains("4 steps, ", "from step 3");
  }

  @Test
  void shouldKeepTheOldModelWholeWhenTheDiskIsFull() throws Exception {
    TinyRun tiny = longRun("full").with("max_train_steps", 2);
    assertThat(Ran.of(tiny.arguments("train")).exitCode()).isZero();
    Map<Path, byte[]> old = new TreeMap<>();
    for (Path file : files(tiny.output())) {
      if (file.toString()
          .matches(".*/(unet|text_encoder|vae|tokenizer|scheduler)/.*|.*_index.json")) {
        old.put(file, Files.readAllBytes(file));
      }
    }
    long size = Files.size(tiny.output().resolve(UNET));
    try (Child child = Child.withFilesUpTo((int) (size / 2048), tiny.arguments("train"))) {
      assertThat(child.exitCode()).as(child.said()).isEqualTo(1);
      assertThat(child.said())
          .contains("error: ")
          .contains("cannot be written: File too large. What was there before is unchanged.")
          .doesNotContain("\tat ");
    }
    assertThat(old).hasSizeGreaterThan(8);
    for (var each : old.entrySet()) {
      assertThat(each.getKey()).hasBinaryContent(each.getValue());
    }
    assertThat(files(tiny.output())).noneMatch(file -> file.toString().endsWith(".part"));
    assertLoads(tiny.output());
  }

  /** Saving fails after Ctrl-C: the exit code must not say that it was saved. */
  @Test
  void shouldNotCallItSavedWhenItCouldNotBe() throws Exception {
    TinyRun tiny = longRun("full");
    long size = Files.size(TinyRun.MODEL.resolve(UNET));
    try (Child child = Child.withFilesUpTo((int) (size / 2048), tiny.arguments("train"))) {
      child.waitFor("step 1/" + STEPS).signal("INT");
      assertThat(child.exitCode()).as(child.said()).isEqualTo(1);
      assertThat(child.said()).contains("error: ").contains("File too large");
    }
  }
}
