package dreambooth4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dreambooth4j.train.TinyModel;
import dreambooth4j.train.TinyRun;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What lies in the output folder and is not the run's, or not as it was. */
class OutputFolderTest {
  private static final String UNET = "unet/diffusion_pytorch_model.safetensors";
  private static final String LATEST = "--resume_from_checkpoint=latest";

  @TempDir Path folder;

  @SuppressWarnings("NullAway.Init")
  private TinyRun tiny;

  @BeforeEach
  void quickRun() throws IOException {
    tiny = new TinyRun(folder).withoutClass().with("n_save_sample", 0).with("max_train_steps", 2);
  }

  private Ran fails(int code, String... parts) {
    return fails(code, tiny.arguments("train"), parts);
  }

  private static Ran fails(int code, List<String> arguments, String... parts) {
    Ran ran = Ran.of(arguments);
    assertThat(ran.exitCode()).as(ran.err()).isEqualTo(code);
    assertThat(ran.err()).contains(parts).doesNotContain("\tat ", "Exception");
    return ran;
  }

  private void trains(String... more) {
    Ran ran = Ran.of(tiny.arguments("train", more));
    assertThat(ran.exitCode()).as(ran.err()).isZero();
  }

  @Test
  void shouldNotWriteOverAModelThatNoRunLeft() throws IOException {
    TinyModel.copy(tiny.output());
    fails(2, "holds model_index.json, which no run of train left there", "Give another output_dir");
    assertThat(tiny.output().resolve(UNET)).hasSameBinaryContentAs(TinyRun.MODEL.resolve(UNET));
    assertThat(tiny.output().resolve("config.yaml")).doesNotExist();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "sks.safetensors",
        "sks.json",
        "sks.png",
        "pytorch_lora_weights.safetensors",
        "unet/config.json"
      })
  void shouldNotWriteOverAFileThatNoRunLeft(String name) throws IOException {
    if (!name.startsWith("unet")) {
      tiny.with("use_lora", true).with("lora_files", "both");
    }
    Path own = tiny.output().resolve(name);
    Files.createDirectories(own.resolveSibling(""));
    Files.writeString(own, "somebody's");
    fails(2, "holds " + name + ", which no run of train left there", "Give another output_dir");
    assertThat(own).hasContent("somebody's");
    Files.delete(own);
    trains();
    trains(); // what a run has left is written over
    assertThat(Files.exists(own)).isEqualTo(!name.endsWith(".png")); // no samples are drawn
  }

  /** The files of the model, without what runs leave beside it. */
  private List<String> modelFiles() throws IOException {
    try (Stream<Path> files = Files.walk(tiny.output())) {
      return files
          .map(file -> tiny.output().relativize(file).toString())
          .filter(
              name ->
                  !name.matches("|\\..*|(cache|class_images|samples|metrics|config|run|report).*"))
          .sorted()
          .toList();
    }
  }

  @Test
  void shouldLeaveNothingOfAModelOfAnotherForm() throws IOException {
    tiny.withoutClass().with("n_save_sample", 0);
    trains("--use_lora", "--lora_files=both");
    List<String> lora = modelFiles();
    assertThat(lora)
        .containsExactly("pytorch_lora_weights.safetensors", "sks.json", "sks.safetensors");
    trains("--save_model_as=both");
    assertThat(modelFiles()).contains("out.safetensors", UNET).doesNotContainAnyElementsOf(lora);
    trains("--save_model_as=safetensors");
    assertThat(modelFiles()).containsExactly("out.safetensors");
    trains();
    assertThat(modelFiles()).contains(UNET).doesNotContain("out.safetensors");
    trains("--use_lora", "--lora_files=both");
    assertThat(modelFiles()).isEqualTo(lora);
  }

  @Test
  void shouldNotWriteAmongThePicturesItTrainsOn() throws IOException {
    tiny.with("output_dir", tiny.pictures());
    fails(2, "output_dir is the instance_data_dir of a concept", "Give another output_dir");
    try (Stream<Path> files = Files.list(tiny.pictures())) {
      assertThat(files).hasSize(10);
    }
  }

  @Test
  void shouldNameWhatIsNoFileInAPlaceOfItsOwn() throws IOException, InterruptedException {
    for (String name :
        List.of("metrics.jsonl", "model_index.json", "config.yaml", ".lock", ".starting")) {
      Path place = tiny.output().resolve(name);
      Files.createDirectories(place);
      Files.writeString(tiny.output().resolve(".unfinished"), "");
      fails(2, name, "output_dir has a");
      Files.delete(place);
    }
    Path lock = tiny.output().resolve(".lock");
    if (new ProcessBuilder("mkfifo", lock.toString()).start().waitFor() == 0) {
      fails(2, "output_dir has a .lock that is no file");
    }
  }

  /** To open a pipe waits until somebody writes to it, or reads. */
  @Test
  @Timeout(60)
  void shouldNeitherWaitForNorWriteToAPipe() throws Exception {
    tiny.with("n_save_sample", 1).with("checkpointing_steps", 1).with("save_state_after", true);
    trains();
    Files.delete(tiny.output().resolve("checkpoint-1/training_state.safetensors"));
    List<String> names =
        List.of(
            "checkpoint-1/training_state.safetensors",
            "checkpoint-1/.a.safetensors.0123456789abcdef.part",
            "samples/000003-sks.png");
    for (String name : names) {
      pipe(tiny.output().resolve(name));
    }
    tiny.with("resume_from_checkpoint", "latest").with("max_train_steps", 3);
    Ran ran = Ran.of(tiny.arguments("train"));
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(ran.err())
        .contains("no samples after step 3", "000003-sks.png: something that is no file");
    for (String name : names) {
      assertThat(Files.isRegularFile(tiny.output().resolve(name))).as(name).isFalse();
    }
    tiny.without("resume_from_checkpoint");
    Path unet = tiny.output().resolve(UNET);
    Files.delete(unet);
    pipe(unet);
    fails(1, UNET + ": something that is no file is in the place of one");
    Files.delete(unet);
    Path list = tiny.output().resolve(".dreambooth-changes/list.json");
    Files.createDirectory(list.getParent());
    pipe(list);
    fails(3, "list.json is a pipe");
  }

  private static void pipe(Path place) throws IOException, InterruptedException {
    int code = new ProcessBuilder("mkfifo", place.toString()).start().waitFor();
    assumeThat(code).isZero();
  }

  @Test
  void shouldTrainBesideFoldersThatCannotBeListed() throws IOException {
    Path cache = folder.resolve("cache");
    for (Path closed : List.of(cache.resolve("old"), tiny.output().resolve("samples/old"))) {
      Files.createDirectories(closed);
      Files.setPosixFilePermissions(closed, PosixFilePermissions.fromString("---------"));
      assumeThat(Files.isReadable(closed)).as("root lists every folder").isFalse();
    }
    trains("--cache_dir=" + cache);
    Files.walkFileTree(
        folder,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult visitFileFailed(Path closed, IOException e) throws IOException {
            Files.setPosixFilePermissions(closed, PosixFilePermissions.fromString("rwx------"));
            return FileVisitResult.CONTINUE;
          }
        });
  }

  @Test
  void shouldNotResumeFromBitsThatHaveFlipped() throws IOException {
    trains("--save_state_after=true");
    Path state = tiny.output().resolve("checkpoint-2/training_state.safetensors");
    byte[] sound = Files.readAllBytes(state);
    int header = (sound[0] & 0xff) | ((sound[1] & 0xff) << 8);
    for (int place : new int[] {sound.length - 3, 8 + header + 100}) {
      flip(state, place);
      fails(3, tiny.arguments("train", LATEST), "is damaged: the checksum of the numbers of ");
      Files.write(state, sound);
    }
    String step = new String(sound, java.nio.charset.StandardCharsets.ISO_8859_1);
    flip(state, step.indexOf("\"step\":\"2\"") + "\"step\":\"".length());
    fails(3, tiny.arguments("train", LATEST), "is damaged: the checksum of its header");
  }

  private static void flip(Path file, int place) throws IOException {
    try (RandomAccessFile bytes = new RandomAccessFile(file.toFile(), "rw")) {
      bytes.seek(place);
      int old = bytes.read();
      bytes.seek(place);
      bytes.write(old ^ 1);
    }
  }

  /** I32 has as many bytes as F32, so nothing else tells. */
  @Test
  void shouldNotTakeNumbersOfAnotherTypeFromACheckpoint() throws IOException {
    trains("--save_state_after=true");
    Path state = tiny.output().resolve("checkpoint-2/training_state.safetensors");
    String text = Files.readString(state, java.nio.charset.StandardCharsets.ISO_8859_1);
    Files.writeString(
        state,
        text.replaceFirst("(\"0.weights\":\\{\"dtype\":\")F32", "$1I32"),
        java.nio.charset.StandardCharsets.ISO_8859_1);
    fails(3, tiny.arguments("train", LATEST), "expected a tensor 0.weights of", "in F32, found");
  }

  @Test
  void shouldBeginAgainWhereTheRunWasEndedBeforeItsFirstCheckpoint() throws IOException {
    trains();
    byte[] model = Files.readAllBytes(tiny.output().resolve(UNET));
    Files.writeString(tiny.output().resolve(".unfinished"), "");
    Ran ran = Ran.of(tiny.arguments("train", LATEST));
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(ran.err())
        .contains("ended before its first checkpoint: training starts from the" + " beginning");
    assertThat(tiny.output().resolve(UNET)).hasBinaryContent(model);
    assertThat(tiny.output().resolve("metrics-1.jsonl")).doesNotExist();
    assertThat(tiny.output().resolve(".unfinished")).doesNotExist();
  }

  @Test
  void shouldDrawTheLastSampleAndKeepNoFurtherCheckpointAfterAKillBehindTheFinalSave()
      throws IOException {
    tiny.with("n_save_sample", 1).with("checkpoints_total_limit", 1).with("checkpointing_steps", 1);
    trains("--save_state_after=true");
    Path sample = tiny.output().resolve("samples/000002-sks.png");
    byte[] drawn = Files.readAllBytes(sample);
    Files.delete(sample);
    Path extra = Files.createDirectories(tiny.output().resolve("checkpoint-1"));
    Path state = tiny.output().resolve("checkpoint-2/training_state.safetensors");
    Files.copy(state, extra.resolve(state.getFileName()));
    Files.setLastModifiedTime(
        extra.resolve(state.getFileName()), java.nio.file.attribute.FileTime.fromMillis(1));
    trains(LATEST);
    assertThat(sample).hasBinaryContent(drawn);
    assertThat(extra).doesNotExist();
    assertThat(state).exists();
  }

  @Test
  void shouldSweepWhatKilledRunsLeftOfFiles() throws IOException {
    trains();
    Path left = tiny.output().resolve("checkpoint-1/.a.safetensors.0123456789abcdef.part");
    Path cached = tiny.output().resolve("cache/ab/.b.safetensors.0123456789abcdef.part");
    for (Path part : List.of(left, cached)) {
      Files.createDirectories(part.getParent());
      Files.writeString(part, "half");
    }
    trains();
    assertThat(cached).doesNotExist();
    assertThat(left.getParent()).doesNotExist();
  }

  /** Its run would draw with the settings of a later one for the weights of an earlier one. */
  @Test
  void shouldDrawAsTheModelWasTrainedThatLiesThere() {
    tiny.with("clip_skip", 2);
    trains();
    tiny.with("clip_skip", 1).with("max_grad_norm", 0).with("learning_rate", 1000);
    fails(5, "stays as it was");
    Path file = folder.resolve("a.png");
    List<String> draw =
        List.of("generate", tiny.output().toString(), "hat", "-o", file.toString(), "--steps=1");
    assertThat(Ran.of(draw).err()).contains("was trained with --clip-skip 2");
  }

  @Test
  void shouldSayThatNothingWasLearntWhereEveryStepWasSkipped() throws IOException {
    tiny.with("mixed_precision", "fp16").with("gradient_accumulation_steps", 1);
    tiny.withPaintedClassImages().with("class_token", "man").with("prior_loss_weight", 1e6);
    fails(5, "nothing was learnt: all 2 steps were skipped");
    assertThat(tiny.output().resolve("unet")).doesNotExist();
  }

  @Test
  void shouldGoOnWhereACheckpointDoesNotFitAndSaveTheModel() throws Exception {
    tiny.with("checkpointing_steps", 1);
    long model = Files.size(TinyRun.MODEL.resolve(UNET));
    try (Child child = Child.withFilesUpTo((int) (model * 3 / 2 / 1024), tiny.arguments("train"))) {
      assertThat(child.exitCode()).as(child.said()).isZero();
      assertThat(child.said())
          .contains(
              "no checkpoint was written after step 1", "File too large", "Saved after step 1")
          .contains("Saved after step 2: " + tiny.output());
    }
    assertThat(tiny.output().resolve(UNET)).exists();
  }

  /** The disk is too full for a checkpoint; the model would fit, in the place of another. */
  @Test
  void shouldNotReplaceAnEarlierModelBeforeTheEnd() throws Exception {
    trains();
    byte[] model = Files.readAllBytes(tiny.output().resolve(UNET));
    tiny.with("checkpointing_steps", 1).with("learning_rate", 0.01);
    int most = model.length * 3 / 2 / 1024;
    try (Child child = Child.withFilesUpTo(most, tiny.arguments("train"))) {
      assertThat(child.exitCode()).as(child.said()).isZero();
      assertThat(child.said())
          .contains("no checkpoint was written after step 1")
          .contains("the model in " + tiny.output() + " is an earlier run's and is replaced at")
          .doesNotContain("Saved after step 1")
          .contains("Saved after step 2: " + tiny.output());
    }
  }

  @Test
  void shouldSayBeforeTheFirstStepThatAModelOnTwoDisksCannotBeReplaced() throws IOException {
    Path other = Path.of("/dev/shm");
    Files.createDirectories(tiny.output());
    assumeThat(Files.isWritable(other)).isTrue();
    assumeThat(Files.getFileStore(other)).isNotEqualTo(Files.getFileStore(tiny.output()));
    Path far = Files.createTempDirectory(other, "unet");
    try {
      Files.createSymbolicLink(tiny.output().resolve("unet"), far);
      String[] said = {"unet is on another disk than " + tiny.output(), "give another output_dir"};
      Ran ran = fails(2, said);
      assertThat(ran.err()).doesNotContain("step 1/2");
    } finally {
      Files.delete(far);
    }
  }

  @Test
  void shouldNotTakeARunForAFolderOfPictures() throws IOException {
    trains();
    TinyRun other = new TinyRun(folder.resolve("other")).with("max_train_steps", 1);
    for (String key : List.of("instance_data_dir", "class_data_dir")) {
      other.with(key, tiny.output());
      fails(3, other.arguments("train"), tiny.output() + " holds a model, or what a run of train");
      other.with("instance_data_dir", other.pictures());
    }
    other.with("class_data_dir", other.output());
    fails(2, other.arguments("train"), "output_dir is the class_data_dir of a concept");
  }
}
