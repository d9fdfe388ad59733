package dreambooth4j.config;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Which of several values wins: of defaults, file and flags, and of names of one setting. */
class PrecedenceTest extends ConfigFile {
  @Test
  void shouldLetFlagsWinOverTheFileAndTheFileOverDefaults() throws IOException {
    Path file = file("{instance_data_dir: a, output_dir: out, resolution: 256, seed: 7}");
    Config config =
        ConfigReader.read(
                file,
                Map.of("resolution", "64", "train_text_encoder", "true", "output_dir", "here"))
            .config();
    assertThat(config.data().resolution()).isEqualTo(64);
    assertThat(config.training().seed()).isEqualTo(7);
    assertThat(config.training().stopTextEncoder()).isEqualTo(1);
    assertThat(config.output().outputDir()).isEqualTo(Path.of("here").toAbsolutePath());
    assertThat(config.concepts().get(0).instanceDataDir()).isEqualTo(folder.resolve("a"));
  }

  @Test
  void shouldCountInEpochsWhereTheyAreAskedForMoreStronglyThanSteps() throws IOException {
    String start = "{instance_data_dir: a, ";
    Config epochs = read(start + "save_preview_every: 2, save_embedding_every: 5}");
    assertThat(epochs.samples().validationSteps()).isZero();
    assertThat(epochs.samples().savePreviewEvery()).isEqualTo(2);
    assertThat(epochs.output().checkpointingSteps()).isZero();
    assertThat(epochs.output().saveEmbeddingEvery()).isEqualTo(5);
    assertThat(read(start + "save_preview_every: 0}").samples().validationSteps()).isEqualTo(100);
    Path file = file(start + "save_preview_every: 2, validation_steps: 7}");
    assertThat(ConfigReader.read(file, Map.of()).config().samples().validationSteps()).isEqualTo(7);
    assertThat(
            ConfigReader.read(file, Map.of("save_preview_every", "3"))
                .config()
                .samples()
                .validationSteps())
        .isZero();
    assertThat(
            ConfigReader.read(
                    file("{instance_data_dir: a, save_preview_every: 2}"),
                    Map.of("validation_steps", "9"))
                .config()
                .samples()
                .validationSteps())
        .isEqualTo(9);
  }

  @Test
  void shouldTakeTheOtherNameOfASettingFromAFlagOverTheFile() throws IOException {
    Path file =
        file(
            "{instance_data_dir: a, class_token: man, use_8bit_adam: false, num_class_images_per: 2, optimizer: AdamW}");
    Config config =
        ConfigReader.read(file, Map.of("optimizer", "8bit AdamW", "num_class_images", "30"))
            .config();
    assertThat(config.memory().use8bitAdam()).isTrue();
    assertThat(config.concepts().get(0).classImages().total()).isEqualTo(30);
    Config other =
        ConfigReader.read(
                file(
                    "{instance_data_dir: a, class_token: man, optimizer: 8bit AdamW, num_class_images: 30}"),
                Map.of("use_8bit_adam", "false", "num_class_images_per", "2"))
            .config();
    assertThat(other.memory().use8bitAdam()).isFalse();
    assertThat(other.concepts().get(0).classImages().total()).isNull();
  }

  @Test
  void shouldTakeAliasesOfBothTrainersButNotTwice() throws IOException {
    Config config =
        read("{instance_data_dir: a, weight_decay: 0.5, lr_cycles: 3, min_snr_gamma: 5.0}");
    assertThat(config.optimizer().adamWeightDecay()).isEqualTo(0.5);
    assertThat(config.optimizer().schedule().numCycles()).isEqualTo(3);
    assertThat(config.loss().snrGamma()).isEqualTo(5);
    assertThat(problem("weight_decay: 1\nadam_weight_decay: 2\n"))
        .contains("config.yaml:2: adam_weight_decay is given twice, first at")
        .contains("config.yaml:1");
    assertThat(
            read("{instance_data_dir: a, scheduler: UniPCMultistepScheduler}")
                .samples()
                .scheduler())
        .hasToString("unipc");
  }

  @ParameterizedTest
  @CsvSource({
    "'train_text_encoder: true, stop_text_encoder: 0.5', , , 0.5",
    "'train_text_encoder: false, stop_text_encoder: 0', , , 0",
    "train_text_encoder: true, , , 1",
    "stop_text_encoder: true, , , 1",
    "stop_text_encoder: 0.5, train_text_encoder, true, 0.5",
    "stop_text_encoder: 0.5, train_text_encoder, false, 0",
    "stop_text_encoder: 0, train_text_encoder, true, 1",
    "train_text_encoder: true, stop_text_encoder, 0, 0",
    "'model_name: x, revision: 1', train_text_encoder, false, 0",
    "'model_name: x, revision: 1', , , 1",
  })
  void shouldTakeWhetherAndHowLongTheTextEncoderIsTrained(
      String file, @Nullable String flag, @Nullable String value, double expected)
      throws IOException {
    Path config = file("{instance_data_dir: a, " + file + "}");
    Map<String, String> flags = flag == null || value == null ? Map.of() : Map.of(flag, value);
    assertThat(ConfigReader.read(config, flags).config().training().stopTextEncoder())
        .isEqualTo(expected);
  }

  @Test
  void shouldTellTheTextEncodersLearningRateFromTheRuns() throws IOException {
    String start = "{instance_data_dir: a, learning_rate: 4e-6, train_text_encoder: ";
    assertThat(read(start + "true}").optimizer().textEncoderRateFactor()).isEqualTo(1);
    assertThat(
            read(start + "true, text_encoder_learning_rate: 1e-6}")
                .optimizer()
                .textEncoderRateFactor())
        .isEqualTo(0.25);
    var both = ", text_encoder_learning_rate: 1e-6, text_encoder_2_learning_rate: 2e-6}";
    assertThat(read(start + "true" + both).optimizer().textEncoder2RateFactor()).isEqualTo(0.5);
    assertThat(
            read(start + "true, text_encoder_learning_rate: 1e-6}")
                .optimizer()
                .textEncoder2RateFactor())
        .isEqualTo(0.25);
    assertThat(
            read("{instance_data_dir: a, learning_rate: 0, text_encoder_learning_rate: 0}")
                .optimizer()
                .textEncoderRateFactor())
        .isEqualTo(1);
    Path untrained = file(start + "false, text_encoder_learning_rate: 1e-6}");
    assertThat(ConfigReader.read(untrained, Map.of()).notes(false))
        .contains(
            "text_encoder_learning_rate: 1.0E-6 has no effect, as the text encoder is not trained:"
                + " set train_text_encoder: true, or leave it out");
    assertThat(
            problem(
                """
                instance_data_dir: a
                train_text_encoder: true
                learning_rate: 0
                text_encoder_learning_rate: 1e-6
                """))
        .endsWith(
            ":4: text_encoder_learning_rate: 1.0E-6 is too many times learning_rate: 0.0; raise"
                + " learning_rate: at 1e-12 the UNet hardly changes");
  }

  @Test
  void shouldSayWhereEachValueComesFrom() throws IOException {
    Path file = file("seed: 7\ninstance_data_dir: a\nresolution: 256\n");
    List<Setting> settings = ConfigReader.read(file, Map.of("resolution", "64")).settings();
    assertThat(settings)
        .contains(
            new Setting("", "Training", "seed", "7", file + ":1"),
            new Setting("", "Data", "resolution", "64 pixels", "--resolution"),
            new Setting("", "Training", "train_batch_size", "1 picture", Setting.DEFAULT))
        .anySatisfy(
            setting -> {
              assertThat(setting.key()).isEqualTo("instance_data_dir");
              assertThat(setting.concept()).isNotEmpty();
              assertThat(setting.origin()).isEqualTo(file + ":2");
            });
  }

  @Test
  void shouldRefuseContradictionsAboutTheTextEncoder() throws IOException {
    String start = "instance_data_dir: a\n";
    assertThat(problem(start + "train_text_encoder: false\nstop_text_encoder: 0.5\n"))
        .endsWith(
            ":2: train_text_encoder: false contradicts stop_text_encoder: 0.5; remove one of"
                + " the two");
    assertThat(problem(start + "train_text_encoder: true\nstop_text_encoder: 0\n"))
        .contains("train_text_encoder: true contradicts stop_text_encoder: 0.0");
  }
}
