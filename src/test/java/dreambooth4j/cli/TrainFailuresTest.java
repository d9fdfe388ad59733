package dreambooth4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.train.TinyModel;
import dreambooth4j.train.TinyRun;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What goes wrong says so in one message with a way out, by the right exit code, and breaks
 * nothing.
 */
class TrainFailuresTest {
  private static final String UNET = "unet/diffusion_pytorch_model.safetensors";

  @TempDir Path folder;

  @SuppressWarnings("NullAway.Init")
  private TinyRun tiny;

  @BeforeEach
  void quickRun() throws IOException {
    tiny = new TinyRun(folder).withoutClass().with("n_save_sample", 0).with("max_train_steps", 4);
  }

  /** Fails with this code and one message that holds all of these; no trace of Java in it. */
  private static Ran fails(int code, List<String> arguments, String... parts) {
    Ran ran = Ran.of(arguments);
    assertThat(ran.exitCode()).as(ran.err()).isEqualTo(code);
    assertThat(ran.err()).contains(parts).doesNotContain("\tat ", "Exception", "java.");
    assertThat(ran.err().lines().filter(line -> line.contains("error:"))).hasSizeLessThan(2);
    return ran;
  }

  @Test
  void shouldNameTheFirstBadTensorWhenTheLearningRateIsAbsurd() {
    tiny.with("learning_rate", "1e30").with("max_grad_norm", 0);
    Ran ran = fails(5, tiny.arguments("train"), "step 2: ", "first bad tensor: ", "Try a lower");
    assertThat(ran.err()).containsPattern("first bad tensor: (the output of op|the weight)");
  }

  /** Far more than any machine has: nothing is begun, not even the output folder. */
  @Test
  void shouldNotBeginWhatCannotFitByItsPlan() {
    tiny.with("resolution", 1024).with("train_batch_size", 4096).with("bucket_remainder", "fill");
    fails(
        4,
        tiny.arguments("train"),
        "there is not enough memory, so the run was not started",
        "--force starts it all the same",
        "The run needs",
        "were available before it",
        "lower train_batch_size or resolution");
    assertThat(tiny.output()).doesNotExist();
  }

  @Test
  void shouldKeepTheModelThatWasThereWhenItDiverges() throws IOException {
    assertThat(Ran.of(tiny.arguments("train")).exitCode()).isZero();
    byte[] model = Files.readAllBytes(tiny.output().resolve(UNET));
    tiny.with("learning_rate", "1e30");
    fails(5, tiny.arguments("train"), "nothing is written", "stays as it was");
    assertThat(tiny.output().resolve(UNET)).hasBinaryContent(model);
  }

  /** The loss of a last step is that before its update, so nobody would look at what it did. */
  @Test
  void shouldNotSaveWhatTheLastUpdateBroke() throws IOException {
    assertThat(Ran.of(tiny.arguments("train")).exitCode()).isZero();
    byte[] model = Files.readAllBytes(tiny.output().resolve(UNET));
    tiny.with("learning_rate", "1e38").with("adam_weight_decay", "1000");
    tiny.with("max_train_steps", 1).with("save_state_after", true);
    String[] said = {"step 1: its update left weights that are not finite", "the weight ", "Try a"};
    fails(5, tiny.arguments("train"), said);
    tiny.with("max_train_steps", 3).with("checkpointing_steps", 1);
    fails(5, tiny.arguments("train"), said);
    assertThat(tiny.output().resolve(UNET)).hasBinaryContent(model);
    assertThat(tiny.output().resolve("checkpoint-1")).doesNotExist();
  }

  @ParameterizedTest
  @CsvSource({
    "unet, down_blocks.1.resnets.0.conv1.weight, the weight down_blocks.1.resnets.0.conv1.weight",
    "vae, encoder.conv_in.bias, the weight encoder.conv_in.bias"
  })
  void shouldNameAWeightThatIsNotANumber(String component, String tensor, String named)
      throws IOException {
    TinyModel.copyWith(folder.resolve("bad"), component, tensor, Float.NaN);
    tiny.with("pretrained_model_name_or_path", folder.resolve("bad"));
    fails(
        5, tiny.arguments("train"), "step 1: the loss is not finite", named, "of the " + component);
    assertThat(tiny.output().resolve("unet")).doesNotExist();
  }

  @Test
  void shouldSayWhatIsWrongWithThePictures() throws IOException {
    Path file = tiny.pictures().resolve("p1.png");
    byte[] sound = Files.readAllBytes(file);
    Files.writeString(tiny.pictures().resolve("letter.jpg"), "Dear Sir or Madam");
    fails(3, tiny.arguments("train"), "letter.jpg");
    Files.delete(tiny.pictures().resolve("letter.jpg"));
    Files.write(file, Arrays.copyOf(sound, sound.length / 2));
    fails(3, tiny.arguments("train"), "p1.png cannot be read");
    Files.write(file, sound);
    Files.writeString(tiny.pictures().resolve("p1.txt"), " \n");
    fails(3, tiny.arguments("train"), "p1.png has an empty caption", "p1.txt");
    Files.write(
        tiny.pictures().resolve("p1.txt"), "caf\u00e9".getBytes(StandardCharsets.ISO_8859_1));
    fails(3, tiny.arguments("train"), "p1.txt is not UTF-8");
    tiny.with("instance_data_dir", folder.resolve("empty"));
    fails(3, tiny.arguments("train"), "empty is not there");
    Files.createDirectories(folder.resolve("empty"));
    fails(3, tiny.arguments("train"), "empty has no pictures", "instance_data_dir");
    assertThat(tiny.output()).doesNotExist();
  }

  @ParameterizedTest
  @CsvSource({
    "max_train_steps, 0",
    "max_train_steps, -3",
    "max_train_steps, 99999999999999999999",
    "train_batch_size, 0",
    "learning_rate, fast",
    "learning_rate, 1e999",
    "resolution, 8",
    "clip_skip, 0",
    "lr_scheduler, cosin",
    "num_train_epochs, 0"
  })
  void shouldSayWhatAKeyTakes(String key, String value) {
    fails(2, tiny.with(key, value).arguments("train"), key, "found '" + value + "'", "allowed is");
  }

  @Test
  void shouldSayTheLineAndTheNearestKeyOfATypo() throws IOException {
    Path config = folder.resolve("config.yaml");
    Files.writeString(config, "resolution: 32\nlearning_rat: 1e-4\ninstance_data_dir: pictures\n");
    for (String command : List.of("train", "inspect")) {
      fails(
          2,
          List.of(command, config.toString()),
          "config.yaml:2: unknown key learning_rat; did you mean learning_rate?");
      fails(2, List.of(command, "--learning_rat", "1"), "--learning_rat", "--learning_rate", "See");
      fails(2, List.of(command, folder.resolve("none.yaml").toString()), "there is no such file");
      fails(2, List.of(command, "a\0b.yaml"), "b.yaml' is no path");
      fails(2, List.of(command, "--instance_data_dir=a\0b"), "instance_data_dir", "a path");
    }
    fails(2, List.of("train"), "instance_data_dir is missing");
    fails(2, tiny.without("pretrained_model_name_or_path").arguments("train"), "pretrained_model");
  }

  @Test
  void shouldSayWhatIsWrongWithTheBaseModel() throws IOException {
    Path bad = folder.resolve("bad");
    TinyModel.copyWith(bad, "unet", "conv_in.bias", null);
    tiny.with("pretrained_model_name_or_path", bad);
    fails(3, tiny.arguments("train"), UNET, "conv_in.bias", "expected [8], found none");
    Files.write(bad.resolve(UNET), new byte[100]);
    fails(3, tiny.arguments("train"), UNET);
    Files.delete(bad.resolve(UNET));
    fails(3, tiny.arguments("train"), "found no weights");
    tiny.with("pretrained_model_name_or_path", folder.resolve("nowhere"));
    fails(3, tiny.arguments("train"), "nowhere", "weights/README.md");
    tiny.with("pretrained_model_name_or_path", "some/model-nobody-has");
    fails(3, tiny.arguments("train"), "hf download some/model-nobody-has");
  }

  @ParameterizedTest
  @ValueSource(strings = {"base", "base/../base"})
  void shouldNotWriteOverItsBaseModel(String output) throws IOException {
    Path base = folder.resolve("base");
    TinyModel.copy(base);
    tiny.with("pretrained_model_name_or_path", base).with("output_dir", folder.resolve(output));
    fails(2, tiny.arguments("train"), "output_dir is the base model's own folder", "Give another");
    assertThat(base.resolve(UNET)).hasSameBinaryContentAs(TinyRun.MODEL.resolve(UNET));
    assertThat(base.resolve("config.yaml")).doesNotExist();
  }

  @Test
  void shouldNotWriteOverAConfigurationOfTheUsersOwn() throws IOException {
    Path own = Files.createDirectories(folder.resolve("own"));
    Path config = own.resolve("config.yaml");
    Files.writeString(config, "# mine\nmax_train_steps: 3\n");
    tiny.with("output_dir", own);
    fails(2, tiny.arguments("train"), "a config.yaml of your own", "rename it");
    assertThat(config).hasContent("# mine\nmax_train_steps: 3\n");
  }

  @Test
  void shouldFindOutBeforehandThatItCannotWrite() throws IOException {
    Path file = Files.createFile(folder.resolve("file"));
    tiny.with("output_dir", file);
    fails(1, tiny.arguments("train"), "output_dir", "cannot be written", "no folder");
    tiny.with("output_dir", file.resolve("below"));
    fails(1, tiny.arguments("train"), "output_dir", "cannot be written", "Give another");
    tiny.with("output_dir", "/proc/out");
    fails(1, tiny.arguments("train"), "output_dir /proc/out cannot be written");
  }

  @Test
  void shouldRefuseACheckpointThatIsNone() throws IOException {
    Path checkpoint = folder.resolve("checkpoint-2");
    Files.createDirectories(checkpoint);
    tiny.with("resume_from_checkpoint", checkpoint);
    fails(3, tiny.arguments("train"), "expected a checkpoint");
    Path state = checkpoint.resolve("training_state.safetensors");
    Files.writeString(state, "no tensors here");
    fails(3, tiny.arguments("train"), "training_state.safetensors");
    Files.copy(TinyRun.MODEL.resolve(UNET), state, StandardCopyOption.REPLACE_EXISTING);
    fails(3, tiny.arguments("train"), "training_state.safetensors: expected a checkpoint's state");
  }

  @Test
  void shouldShowWhereItHappenedToThoseWhoAsk() {
    Ran ran = Ran.of(tiny.with("learning_rate", "1e30").arguments("train", "-v"));
    assertThat(ran.exitCode()).isEqualTo(5);
    assertThat(tiny.output().resolve("report.html")).content().contains("The run diverged: ");
    assertThat(ran.err()).contains("error: step 2", "\tat dreambooth4j.train.Divergence");
  }
}
