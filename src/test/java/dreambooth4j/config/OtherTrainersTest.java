package dreambooth4j.config;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.config.ConfigReader.Reading;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What users of diffusers, kohya's scripts and the extension bring along is taken or explained. */
class OtherTrainersTest extends ConfigFile {
  private static final Map<String, String> DIFFUSERS =
      Map.of(
          "pretrained_model_name_or_path", "base",
          "instance_data_dir", "dog",
          "instance_prompt", "a photo of sks dog",
          "class_prompt", "a photo of dog",
          "with_prior_preservation", "true");

  private static Map<String, String> with(Map<String, String> flags, String... more) {
    Map<String, String> all = new HashMap<>(flags);
    for (int i = 0; i < more.length; i += 2) {
      all.put(more[i], more[i + 1]);
    }
    return all;
  }

  private static List<String> leftOut(Map<String, String> flags) {
    return ConfigReader.read(null, flags).remarks().stream()
        .filter(line -> line.startsWith("left out"))
        .toList();
  }

  @ParameterizedTest
  @CsvSource({"validation_epochs, 50", "image_interpolation_mode, lanczos"})
  void shouldSayHowToTrainAsTheLoraScriptDoes(String flag, String value) {
    assertThat(problem(null, with(DIFFUSERS, flag, value, "learning_rate", "1e-4")))
        .startsWith("--" + flag + ": " + value + " is not done here; it is a flag of")
        .contains("train_dreambooth_lora.py: remove it, and set use_lora: true");
  }

  @Test
  void shouldTrainLoraWhereAKeyOfItIsGiven() throws IOException {
    LoraConfig lora = ConfigReader.read(null, with(DIFFUSERS, "rank", "8")).config().lora();
    assertThat(lora.used()).isTrue();
    assertThat(lora.rank(false)).isEqualTo(8);
    assertThat(lora.alphaOf(8)).isEqualTo(8);
    assertThat(read("instance_data_dir: a\nlora_unet_rank: 2\n").lora().used()).isTrue();
    assertThat(ConfigReader.read(null, DIFFUSERS).config().lora().used()).isFalse();
    assertThat(problem("instance_data_dir: a\nrank: 4\nuse_lora: false"))
        .contains("config.yaml:2: lora_rank is a key of LoRA, but use_lora is false");
    Path extension = file("model_name: x\nrevision: 1\ninstance_data_dir: a\nlora_unet_rank: 4\n");
    assertThat(ConfigReader.read(extension, Map.of()).config().lora().used()).isFalse();
    assertThat(ConfigReader.read(extension, Map.of("lora_alpha", "1")).config().lora().used())
        .isTrue();
  }

  @Test
  void shouldGiveLoraALearningRateOfItsOwn() throws IOException {
    String lora = "instance_data_dir: a\ntrain_text_encoder: true\nuse_lora: true\n";
    assertThat(read(lora).optimizer().learningRate()).isEqualTo(1e-4);
    assertThat(read(lora).optimizer().textEncoderRateFactor()).isEqualTo(1);
    assertThat(read(lora + "learning_rate: 2e-4\n").optimizer().learningRate()).isEqualTo(2e-4);
    OptimizerConfig own =
        read(lora + "learning_rate: 2e-4\nlora_learning_rate: 4e-4\nlora_txt_learning_rate: 1e-4\n")
            .optimizer();
    assertThat(own.learningRate()).isEqualTo(4e-4);
    assertThat(own.textEncoderRateFactor()).isEqualTo(0.25);
    Path extension =
        file(
            """
            model_name: x
            revision: 1
            instance_data_dir: a
            use_lora: true
            learning_rate: 2e-6
            lora_learning_rate: 3e-4
            """);
    assertThat(ConfigReader.read(extension, Map.of()).config().optimizer().learningRate())
        .isEqualTo(3e-4);
    assertThat(
            ConfigReader.read(extension, Map.of("learning_rate", "5e-4"))
                .config()
                .optimizer()
                .learningRate())
        .isEqualTo(5e-4);
    String written = ConfigWriter.toYaml(read(lora + "lora_learning_rate: 4e-4\n"));
    assertThat(read(written).optimizer().learningRate()).isEqualTo(4e-4);
  }

  @Test
  void shouldRefuseARateOfTheTextEncoderThatIsNoMultipleOfTheUnets() throws IOException {
    String none = "instance_data_dir: a\ntrain_text_encoder: true\nlora_learning_rate: 0\n";
    assertThat(problem(none + "lora_txt_learning_rate: 1e-5\n"))
        .endsWith(
            ":4: lora_txt_learning_rate: 1.0E-5 is too many times lora_learning_rate: 0.0; raise"
                + " lora_learning_rate: at 1e-12 the UNet hardly changes");
    assertThat(problem(none + "text_encoder_learning_rate: 1e-5\n"))
        .contains("text_encoder_learning_rate: 1.0E-5 is too many times lora_learning_rate: 0.0");
    assertThat(read(none).optimizer().textEncoderRateFactor()).isEqualTo(1);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          rank: 4, lora_conv_rank: 8           | lora_conv_rank: 8 has no effect, as lora_targets is attention: set lora_targets: convolutions
          rank: 8, lora_weights: a             | lora_rank: 8 has no effect, as lora_weights says it of its own adapters
          lora_targets: all-linear, lora_weights: a | lora_targets: all-linear has no effect, as lora_weights says it of its own adapters
          lora_kind: dora, lora_weights: a     | lora_kind: dora has no effect, as lora_weights says it of its own adapters
          rank: 4, lora_factor: 8              | lora_factor: 8 has no effect, as lora_kind is lora: set lora_kind: lokr
          rank: 4, lora_txt_rank: 8            | lora_txt_rank: 8 has no effect, as the text encoder is not trained: set train_text_encoder: true
          lora_txt_learning_rate: 1e-3         | lora_txt_learning_rate: 0.001 has no effect, as the text encoder is not trained
          lora_files: both                     | lora_files: both has no effect, as no LoRA is trained: set use_lora: true
          half_lora: true                      | half_lora: true has no effect, as no LoRA is trained: set use_lora: true
          rank: 4, save_model_as: safetensors  | save_model_as: safetensors has no effect, as a LoRA is saved, not a model: set lora_files
          rank: 4, half_lora: true, save_precision: bf16 | half_lora: true has no effect, as save_precision says the type of the LoRA file
          """)
  void shouldSayWhichKeysDoNothingForALora(String keys, String expected) throws IOException {
    assertThat(ConfigReader.read(file("{instance_data_dir: a, " + keys + "}"), Map.of()).remarks())
        .singleElement()
        .asString()
        .startsWith(expected)
        .containsPattern("leave (it out|out one of the two)$");
  }

  @ParameterizedTest
  @CsvSource({"loha, diffusers", "lokr, both"})
  void shouldRefuseFilesThatDiffusersDoesNotLoadBeforeTheyAreTrained(String kind, String files)
      throws IOException {
    String keys = "instance_data_dir: a\nlora_kind: " + kind + "\nlora_files: ";
    assertThat(problem(keys + files + "\n"))
        .contains("lora_files: " + files + " with lora_kind: " + kind)
        .contains("Set lora_files: kohya")
        .endsWith("dreambooth merge");
    assertThat(read(keys + "kohya").lora().kind()).hasToString(kind);
  }

  @Test
  void shouldSayNothingOfKeysOfLoraThatDoSomethingOrAreTheExtensions() throws IOException {
    String useful =
        """
        instance_data_dir: a
        train_text_encoder: true
        lora_targets: convolutions
        lora_conv_rank: 2
        lora_txt_rank: 2
        lora_txt_learning_rate: 1e-4
        lora_files: both
        half_lora: true
        save_model_as: diffusers
        """;
    assertThat(ConfigReader.read(file(useful), Map.of()).remarks()).isEmpty();
    String extensions =
        "{instance_data_dir: a, model_name: x, revision: 1, lora_txt_rank: 2, half_lora: true,"
            + " use_lora: ";
    for (boolean lora : new boolean[] {false, true}) {
      assertThat(ConfigReader.read(file(extensions + lora + "}"), Map.of()).remarks())
          .noneMatch(line -> line.contains("has no effect, as"));
    }
  }

  @Test
  void shouldSayWhatThePriorByPredictionNeeds() throws IOException {
    String prior = "instance_data_dir: a\nprior: prediction\n";
    assertThat(read(prior + "class_token: man\n").prior().remembers()).isTrue();
    assertThat(problem(prior + "use_lora: true\n")).contains("give a class_token or class_prompt");
    assertThat(
            problem(prior + "use_lora: true\nclass_token: man\nclass_images_refresh_epochs: 2\n"))
        .contains("there are no class images with prior: prediction");
    PriorConfig ofLora = read(prior + "use_lora: true\nclass_token: man\n").prior();
    assertThat(ofLora.predicts()).isTrue();
    assertThat(ofLora.remembers()).isFalse();
  }

  @Test
  void shouldRefuseTypesThatLoraCannotComputeIn() throws IOException {
    assertThat(problem("instance_data_dir: a\nuse_lora: true\nfrozen_dtype: fp16"))
        .contains("set mixed_precision: fp16, or frozen_dtype: bf16");
  }

  @Test
  void shouldSayWhichLeftOutDefaultsDifferFromDiffusers() {
    assertThat(leftOut(DIFFUSERS))
        .containsExactly(
            "left out, so that other defaults hold than in diffusers' train_dreambooth.py: crop"
                + " center (there random), train_batch_size 1 picture (there 4 pictures),"
                + " num_train_epochs 100 epochs (there 1 epoch), learning_rate 2e-6 (there 5e-6),"
                + " prior_loss_weight 0.4 (there 1), num_class_images left to num_class_images_per"
                + " (there 100 pictures), class_infer_steps 60 steps (there 50 steps); --defaults"
                + " diffusers takes those");
    Map<String, String> most =
        with(
            DIFFUSERS,
            "learning_rate",
            "5e-6",
            "train_batch_size",
            "1",
            "max_train_steps",
            "400",
            "num_class_images",
            "200",
            "prior_loss_weight",
            "1.0",
            "center_crop",
            "true",
            "lr_scheduler",
            "constant",
            "lr_warmup_steps",
            "0");
    assertThat(leftOut(most))
        .containsExactly(
            "left out, so that other defaults hold than in diffusers' train_dreambooth.py:"
                + " class_infer_steps 60 steps (there 50 steps); --defaults diffusers takes those");
  }

  @Test
  void shouldSayNothingOfDiffusersWhereTheCommandLineIsNotItsOwn() throws IOException {
    assertThat(leftOut(with(DIFFUSERS, "instance_token", "sks"))).isEmpty();
    assertThat(leftOut(with(DIFFUSERS, "defaults", "dreambooth4j"))).isEmpty();
    assertThat(leftOut(with(DIFFUSERS, "defaults", "diffusers"))).isEmpty();
    assertThat(ConfigReader.read(file("instance_data_dir: a"), Map.of()).remarks()).isEmpty();
  }

  @Test
  void shouldTakeTheDefaultsOfDiffusersWhereTheyAreAskedFor() throws IOException {
    Config config = ConfigReader.read(null, with(DIFFUSERS, "defaults", "diffusers")).config();
    assertThat(config.optimizer().learningRate()).isEqualTo(5e-6);
    assertThat(config.optimizer().schedule().scheduler()).isEqualTo(LrScheduler.CONSTANT);
    assertThat(config.optimizer().schedule().warmupSteps()).isEqualTo(500);
    assertThat(config.training().trainBatchSize()).isEqualTo(4);
    assertThat(config.training().numTrainEpochs()).isEqualTo(1);
    assertThat(config.prior().priorLossWeight()).isEqualTo(1);
    ConceptConfig concept = config.concepts().get(0);
    assertThat(concept.classImages().per(5)).isEqualTo(20);
    assertThat(concept.classImages().inferSteps()).isEqualTo(50);
    assertThat(concept.crop()).isEqualTo(Crop.RANDOM);
    assertThat(config.output().outputDir()).isEqualTo(Path.of("dreambooth-model").toAbsolutePath());
    Map<String, String> centered = with(DIFFUSERS, "defaults", "diffusers", "center_crop", "true");
    assertThat(ConfigReader.read(null, centered).config().concepts().get(0).crop())
        .isEqualTo(Crop.CENTER);
    String withoutPrior = "{instance_data_dir: a, class_prompt: dog, defaults: ";
    assertThat(read(withoutPrior + "diffusers}").prior().withPriorPreservation()).isFalse();
    assertThat(read(withoutPrior + "dreambooth4j}").prior().withPriorPreservation()).isTrue();
    assertThat(read(withoutPrior + "extension}").prior().priorLossWeight()).isEqualTo(0.75);
    assertThat(problem(withoutPrior + "kohya}"))
        .endsWith("defaults: found 'kohya', allowed is one of dreambooth4j, diffusers, extension");
  }

  /** What is written for a run that took other defaults gives the same run without them. */
  @ParameterizedTest
  @ValueSource(strings = {"dreambooth4j", "diffusers", "extension"})
  void shouldWriteAllDefaultsDown(String defaults) throws IOException {
    Config config =
        read(
            "{instance_data_dir: a, class_prompt: dog, with_prior_preservation: true, defaults: "
                + defaults
                + "}");
    Path written = Files.writeString(folder.resolve("written.yaml"), ConfigWriter.toYaml(config));
    assertThat(ConfigReader.read(written, Map.of()).config()).isEqualTo(config);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          train_data_dir | unknown key train_data_dir: kohya's train_data_dir is instance_data_dir here
          network_dim    | unknown key network_dim: kohya's network_dim is lora_rank here
          network_module | unknown key network_module: kohya's network_module is use_lora here (networks.lora becomes use_lora: true
          config_file    | dreambooth import turns a whole file of kohya's into a configuration
          max_train_epochs | is num_train_epochs here
          text_encoder_lr  | is lora_txt_learning_rate here
          learning_rate_te2 | is text_encoder_2_learning_rate here
          """)
  void shouldSayWhatAKeyOfKohyaIsCalledHere(String key, String expected) throws IOException {
    assertThat(problem(null, Map.of(key, "x", "instance_data_dir", "a"))).contains(expected);
    assertThat(problem("instance_data_dir: a\n" + key + ": 1")).contains(expected);
  }

  @Test
  void shouldTakeKeysOfItsOwnBeforeKohyas() {
    assertThat(KohyaKeys.names()).doesNotContainAnyElementsOf(ConfigReader.knownNames());
  }

  @Test
  void shouldKnowTheFlagsOfDiffusersScript() {
    assertThat(DiffusersScript.FLAGS).hasSize(61);
    assertThat(ConfigReader.knownNames()).containsAll(DiffusersScript.FLAGS);
  }

  @ParameterizedTest
  @ValueSource(strings = {"cfg.toml", "cfg.yaml"})
  void shouldSayHowTomlIsImported(String name) throws IOException {
    Path toml = Files.writeString(folder.resolve(name), "# a comment\n[general]\nseed = 1\n");
    assertThat(problem(toml, Map.of()))
        .isEqualTo(
            toml
                + " is TOML, as kohya's sd-scripts take it: make a configuration of it by dreambooth"
                + " import "
                + toml
                + " -o config.yaml");
  }

  @Test
  void shouldNameOfADbConfigOnlyWhatSomebodyChanged() throws IOException {
    Path plain = Path.of("src/test/resources/config/db_config.json");
    Reading untouched = ConfigReader.read(plain, Map.of());
    int unused = untouched.noEffect().size();
    assertThat(unused).isGreaterThan(50);
    assertThat(untouched.notes(false))
        .endsWith(
            "read, no effect here: " + unused + " keys of the db_config.json (-v lists them)");
    assertThat(untouched.notes(true).get(untouched.notes(true).size() - 1))
        .startsWith("read, no effect here: attention ")
        .contains(" lora_weight ", " freeze_spectral_norm ");
    Path changed =
        file(
            Files.readString(plain)
                .replace("\"noise_scheduler\": \"DDPM\"", "\"noise_scheduler\": \"DEIS\"")
                .replace("\"txt_learning_rate\": 5e-06", "\"txt_learning_rate\": 1e-05")
                .replace("\"epoch\": 30", "\"epoch\": 31"));
    assertThat(ConfigReader.read(changed, Map.of("logging_dir", "here")).notes(false))
        .endsWith(
            "read, no effect here: noise_scheduler txt_learning_rate logging_dir and "
                + (unused - 2)
                + " more keys of the db_config.json (-v lists them)");
  }

  @Test
  void shouldSayHowATrackerThatIsAServiceGetsARun() throws IOException {
    assertThat(read("instance_data_dir: a").report().tensorboard()).isFalse();
    assertThat(read("instance_data_dir: a\nreport_to: all").report().tensorboard()).isTrue();
    assertThat(problem("instance_data_dir: a\nreport_to: wandb"))
        .contains("report_to: found 'wandb', allowed is one of tensorboard, all, none")
        .contains("`wandb sync --sync-tensorboard OUTPUT_DIR/logs` sends them");
  }

  @Test
  void shouldLeaveWhatARunMakesBesideItsConfiguration() throws IOException {
    assertThat(read("instance_data_dir: a").output().outputDir())
        .isEqualTo(folder.resolve("output"));
    String extension = "revision: 1\ninstance_data_dir: a\nmodel_name: ";
    assertThat(read(extension + "arnold").output().outputDir())
        .isEqualTo(folder.resolve("output/arnold"));
    assertThat(read(extension + "'../my model'").output().outputDir())
        .isEqualTo(folder.resolve("output/my_model"));
    assertThat(read(extension + "arnold\noutput_dir: here").output().outputDir())
        .isEqualTo(folder.resolve("here"));
    assertThat(read(extension + "arnold").output().cacheDir())
        .isEqualTo(folder.resolve("output/arnold/cache"));
    assertThat(read("instance_data_dir: a\ndefaults: diffusers").output().outputDir())
        .isEqualTo(folder.resolve("dreambooth-model"));
    assertThat(
            ConfigReader.read(null, Map.of("instance_data_dir", "a")).config().output().outputDir())
        .isEqualTo(Path.of("output").toAbsolutePath());
  }

  @ParameterizedTest
  @CsvSource({
    "max_grad_norm, 1e-300, 1e10",
    "snr_gamma, 1e-300, 1e300",
    "learning_rate, 1e-300, 1e39",
    "prior_loss_weight, 1e-300, 1e30",
    "loss_weight, 1e-300, 1e30",
    "offset_noise, 1e-300, 1e30",
    "adam_weight_decay, 1e-300, 1e30",
    "adam_epsilon, 1e-300, 2",
    "class_guidance_scale, 1e-300, 1e30",
    "lr_power, 1e-300, 1e30",
    "ema_inv_gamma, 1e-300, 1e30",
    "class_infer_steps, 0, 1000",
    "save_infer_steps, 0, 1000"
  })
  void shouldBoundNumbersByWhatCanBeComputed(String key, String tooSmall, String tooLarge)
      throws IOException {
    for (String value : List.of(tooSmall, tooLarge)) {
      assertThat(problem("instance_data_dir: a\n" + key + ": " + value))
          .contains("config.yaml:2: " + key + ": found '" + value + "', allowed is a ");
    }
  }
}
