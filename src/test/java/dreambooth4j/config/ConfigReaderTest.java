package dreambooth4j.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dreambooth4j.Problem;
import dreambooth4j.config.ComputeConfig.CudaGraph;
import dreambooth4j.config.ComputeConfig.MixedPrecision;
import dreambooth4j.config.ComputeConfig.Target;
import dreambooth4j.config.MemoryConfig.Checkpointing;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ConfigReaderTest extends ConfigFile {
  @ParameterizedTest
  @CsvSource({
    "prior_loss_weight: 0.4, true",
    "prior_loss_weight: 0, false",
    "'prior_loss_weight: 0, with_prior_preservation: true', true",
    "'prior_loss_weight: 0, prior_loss_scale: true', true", // it rises to prior_loss_weight_min
    "'prior_loss_weight: 0, prior_loss_scale: true, prior_loss_weight_min: 0', false"
  })
  void shouldMakeNoClassImagesThatNothingIsLearntFromUnlessAsked(String keys, boolean made)
      throws IOException {
    Config config =
        read("{instance_data_dir: a, instance_token: sks, class_token: man, " + keys + "}");
    assertThat(config.prior().withPriorPreservation()).isEqualTo(made);
  }

  @Test
  void shouldHaveTheDefaultsOfTheDesign() throws IOException {
    Config config = read("instance_data_dir: pictures");
    assertThat(config.prior().withPriorPreservation()).isFalse();
    assertThat(config.prior().priorLossWeight()).isEqualTo(0.4);
    assertThat(config.optimizer().learningRate()).isEqualTo(2e-6);
    assertThat(config.optimizer().schedule().scheduler())
        .isEqualTo(LrScheduler.CONSTANT_WITH_WARMUP);
    assertThat(config.optimizer().schedule().warmupSteps()).isZero();
    assertThat(config.training().trainBatchSize()).isEqualTo(1);
    assertThat(config.training().numTrainEpochs()).isEqualTo(100);
    assertThat(config.training().maxTrainSteps()).isNull();
    assertThat(config.training().trainTextEncoder()).isFalse();
    assertThat(config.data().captions().shuffleTags()).isFalse();
    ConceptConfig concept = config.concepts().get(0);
    assertThat(concept.instancePrompt()).isEqualTo("[filewords]");
    assertThat(concept.classImages().numPer()).isEqualTo(1);
    assertThat(concept.classImages().inferSteps()).isEqualTo(60);
    assertThat(concept.classImages().guidanceScale()).isEqualTo(7.5);
    assertThat(concept.classImages().dataDir())
        .isEqualTo(folder.resolve("output/class_images/pictures"));
  }

  @Test
  void shouldDoWithFlagsAlone() {
    Config config =
        ConfigReader.read(
                null,
                Map.of(
                    "instance_data_dir", "dog",
                    "instance_prompt", "a photo of sks dog",
                    "class_prompt", "a photo of dog",
                    "with_prior_preservation", "true",
                    "num_class_images", "10",
                    "offset_noise", "true",
                    "use_8bit_adam", "true",
                    "mixed_precision", "fp16"))
            .config();
    assertThat(config.prior().withPriorPreservation()).isTrue();
    assertThat(config.noise().offset()).isEqualTo(0.1);
    assertThat(config.concepts().get(0).classImages().per(4)).isEqualTo(3);
    assertThat(config.concepts().get(0).instanceDataDir())
        .isEqualTo(Path.of("dog").toAbsolutePath());
  }

  @Test
  void shouldTakeTypesAsTheExtensionAndDiffusersWriteThem() throws IOException {
    String start = "{instance_data_dir: a";
    assertThat(read(start + "}").compute())
        .isEqualTo(
            new ComputeConfig(Target.AUTO, MixedPrecision.NO, false, false, CudaGraph.FALSE, null));
    assertThat(read(start + ", mixed_precision: FP32, tf32_enable: true, device: cuda}").compute())
        .isEqualTo(
            new ComputeConfig(Target.CUDA, MixedPrecision.NO, false, true, CudaGraph.FALSE, null));
    assertThat(read(start + ", mixed_precision: bf16}").compute().mixedPrecision())
        .isEqualTo(MixedPrecision.BF16);
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> read(start + ", mixed_precision: int8}"))
        .withMessageContaining("one of no, bf16, fp16");
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(
            () ->
                read(
                    start
                        + ", mixed_precision: fp16, fused_backward_pass: true, max_grad_norm: 0}"))
        .withMessageContaining("fused_backward_pass updates before it is known");
  }

  @Test
  void shouldHoldAllInBf16OnlyWhereThatIsTheTypeOfTheRun() throws IOException {
    String start = "{instance_data_dir: a, full_bf16: true";
    assertThat(read(start + ", mixed_precision: bf16}").compute().fullBf16()).isTrue();
    for (String type : List.of("no", "fp16")) {
      assertThatExceptionOfType(Problem.class)
          .isThrownBy(() -> read(start + ", mixed_precision: " + type + "}"))
          .withMessageContaining("mixed_precision is " + type + ": set mixed_precision: bf16");
    }
  }

  @Test
  void shouldTakeTheMemoryOptionsInBothDialects() throws IOException {
    String start = "{instance_data_dir: a, class_token: man";
    assertThat(read(start + "}").memory())
        .isEqualTo(new MemoryConfig(Checkpointing.AUTO, false, false));
    assertThat(read(start + ", optimizer: Paged 8bit AdamW}").memory().use8bitAdam()).isTrue();
    assertThat(read(start + ", optimizer: Torch AdamW}").memory().use8bitAdam()).isFalse();
    assertThat(read(start + ", optimizer: paged 8-bit lion}").memory().use8bitAdam()).isTrue();
    OptimizerConfig lion = read(start + ", optimizer: lion}").optimizer();
    assertThat(lion.name()).isEqualTo(OptimizerName.LION);
    assertThat(lion.adamBeta2()).isEqualTo(0.99);
    assertThat(read(start + "}").optimizer().adamBeta2()).isEqualTo(0.999);
    assertThat(read(start + ", model_name: x, revision: 1}").memory().use8bitAdam()).isTrue();
    assertThat(
            read(start + ", model_name: x, revision: 1, use_8bit_adam: false}")
                .memory()
                .use8bitAdam())
        .isFalse();
    assertThat(
            read(start + ", fused_backward_pass: true, max_grad_norm: 0}")
                .memory()
                .fusedBackwardPass())
        .isTrue();
    assertThatThrownBy(
            () ->
                read(
                    start
                        + ", fused_backward_pass: true, max_grad_norm: 0,"
                        + " gradient_accumulation_steps: 2}"))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("set gradient_accumulation_steps: 1");
  }

  @Test
  void shouldReadSeveralConceptsWithSharedKeysAtTheTop() throws IOException {
    Config config =
        read(
            """
            num_class_images_per: 3
            class_token: man
            concepts_list:
              - instance_data_dir: a
                instance_token: sks
              - instance_data_dir: b
                instance_token: s k s
                num_class_images_per: 0
                loss_weight: 0.5
              - instance_data_dir: c
                instance_token: s/k/s
            """);
    assertThat(config.concepts())
        .extracting(ConceptConfig::name)
        .containsExactly("sks", "s_k_s", "s_k_s-2");
    assertThat(config.concepts())
        .extracting(c -> c.classImages().numPer())
        .containsExactly(3, 0, 3);
    assertThat(config.concepts())
        .extracting(ConceptConfig::lossWeight)
        .containsExactly(1.0, 0.5, 1.0);
    assertThat(config.prior().withPriorPreservation()).isTrue();
    assertThat(problem(folder.resolve("config.yaml"), Map.of("instance_token", "x")))
        .contains("--instance_token: there are 3 concepts");
    assertThat(problem("concepts_list:\n- instance_data_dir: a\n  resolution: 5\n"))
        .contains("config.yaml:3: resolution holds for the whole run");
  }

  @Test
  void shouldReadConceptsFromAFileOfTheirOwn() throws IOException {
    Files.createDirectories(folder.resolve("sub"));
    Files.writeString(
        folder.resolve("sub/concepts.json"), "[\n\t{\"instance_data_dir\": \"a\"}\n]");
    Config config = read("concepts_path: sub/concepts.json");
    assertThat(config.concepts().get(0).instanceDataDir()).isEqualTo(folder.resolve("sub/a"));
    assertThat(
            ConfigReader.read(
                    null, Map.of("concepts_list", folder.resolve("sub/concepts.json").toString()))
                .config()
                .concepts())
        .hasSize(1);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          learning_rat: 1 | config.yaml:2: unknown key learning_rat; did you mean learning_rate?
          num-train-epochs: 1 | config.yaml:2: unknown key num-train-epochs; did you mean num_train_epochs?
          wibble_wobble: 1 | config.yaml:2: unknown key wibble_wobble
          resolution: big | config.yaml:2: resolution: found 'big', allowed is a whole number from 16 to 4096
          resolution: 8 | config.yaml:2: resolution: found '8', allowed is a whole number from 16 to 4096
          resolution: 512.5 | config.yaml:2: resolution: found '512.5'
          resolution: [512] | config.yaml:2: resolution: found a list, allowed is a whole number
          resolution: 99999999999999999999 | config.yaml:2: resolution: found '99999999999999999999'
          learning_rate: .nan | config.yaml:2: learning_rate: found '.nan', allowed is a number of at least 0
          learning_rate: 1e999 | config.yaml:2: learning_rate: found '1e999'
          learning_rate: -1e-6 | config.yaml:2: learning_rate: found '-1e-6'
          hflip: yes | config.yaml:2: hflip: found 'yes', allowed is true or false
          lr_scheduler: rox | config.yaml:2: lr_scheduler: found 'rox', allowed is one of constant, constant_with_warmup, linear
          scheduler: wibble | config.yaml:2: scheduler: found 'wibble', allowed is one of ddpm, ddim
          adam_beta1: 1 | config.yaml:2: adam_beta1: found '1', allowed is a number from 0 to below 1
          optimizer: Muon | config.yaml:2: optimizer: found 'Muon', allowed is one of AdamW, 8bit AdamW, Lion, 8bit Lion
          gradient_checkpointing: sometimes | allowed is one of true, false, auto
          fused_backward_pass: true | set max_grad_norm: 0
          use_lora: yes | config.yaml:2: use_lora: found 'yes', allowed is true or false
          use_dream: 1 | use_dream: found '1', allowed is true or false
          train_unet: 0 | train_unet: found '0', allowed is true or false
          train_unet: False | train_unet: false leaves nothing to train
          split_loss: no | split_loss: found 'no', allowed is true or false
          use_ema: [true] | use_ema: found a list, allowed is true or false
          half_model: {on: 1} | half_model: found a map, allowed is true or false
          rank: [4] | config.yaml:2: rank: found a list, allowed is a whole number from 1 to 4096
          tokenizer_name: [4] | config.yaml:2: tokenizer_name: a list is not done here
          ema_decay: 1 | ema_decay: found '1', allowed is a number from 0 to below 1
          ema_warmup: true | ema_warmup: found 'true', allowed is one of none, ratio, power
          max_token_length: 100 | max_token_length: found '100', allowed is one of 75, 150, 225
          tokenizer_max_length: 154 | tokenizer_max_length: 154 is not done here; remove it, and set max_token_length
          class_scheduler: wibble | class_scheduler: found 'wibble', allowed is one of ddpm, ddim
          center_crop: false | center_crop: false is not done here
          min_bucket_reso: 128 | min_bucket_reso belongs to kohya's sizes
          buckets: other | allowed is one of extension, kohya, onetrainer
          crop: 0.5 | crop: found '0.5', allowed is center, random or two numbers
          crop: 1.5,0 | crop: found '1.5,0'
          caption_extension: "a/b" | caption_extension: found 'a/b'
          bucket_reso_steps: 12 | bucket_reso_steps: found '12', allowed is a whole number up to 1024 that 8 divides
          instance_data_dir: b | config.yaml:2: instance_data_dir is given twice
          num_class_images_per: 2 | class images of a need a class_token or a class_prompt
          instance_token: 'a, b' | must not contain a comma, which separates tags
          '"a": "b' | config.yaml:3: no valid YAML
          concepts_list: {a: b} | config.yaml:2: concepts_list: found a map
          concepts_list: [a] | config.yaml:2: concepts_list: each entry is a map
          ? [a] : b | config.yaml: no valid YAML: Non scalar key
          a: !!javax.script.ScriptEngineManager [x] | a: tags are not allowed
          hflip: !!java.lang.Runtime true | hflip: tags are not allowed
          """)
  void shouldSayWhatIsWrongAndWhere(String line, String expected) throws IOException {
    assertThat(problem("instance_data_dir: a\n" + line + "\n")).contains(expected);
  }

  @Test
  void shouldNameWhatIsWrongWithAFlag() {
    assertThat(problem(null, Map.of("resolution", "x")))
        .contains("--resolution: found 'x', allowed is a whole number from 16 to 4096");
    assertThat(problem(null, Map.of("resolutoin", "x")))
        .contains("--resolutoin: unknown key resolutoin; did you mean resolution?");
    assertThat(problem(null, Map.of())).contains("instance_data_dir is missing");
  }

  @Test
  void shouldCheckThatKohyasParametersGoTogether() throws IOException {
    String start = "instance_data_dir: a\nbuckets: kohya\n";
    assertThat(problem(start + "bucket_reso_steps: 96\n")).contains("must be multiples of 96");
    assertThat(problem(start + "min_bucket_reso: 512\nmax_bucket_reso: 256\n"))
        .contains("min_bucket_reso 512 is above max_bucket_reso 256");
    assertThat(problem(start + "resolution: 32\n")).contains("above the resolution 32");
  }

  @Test
  void shouldReportEverythingAtOnce() throws IOException {
    assertThat(problem("hflop: true\ntrain_imagic: true\n").lines()).hasSize(2);
    assertThat(problem("hflip: 1\nresolution: 1\n").lines()).hasSize(3);
  }

  @Test
  void shouldCountErrorsThatAreTooManyToShow() throws IOException {
    StringBuilder yaml = new StringBuilder();
    for (int i = 0; i < 5_000; i++) {
      yaml.append("k%05x_learning_rate: 1\n".formatted(i));
    }
    assertThat(problem(yaml.toString()).lines()).hasSize(21).last().isEqualTo("and 4980 more");
  }

  @Test
  void shouldKeepANameThatIsNoPath() throws IOException {
    Files.createDirectories(folder.resolve("models/mine"));
    String start = "instance_data_dir: a\npretrained_model_name_or_path: ";
    assertThat(read(start + "models/mine").model().required())
        .isEqualTo(folder.resolve("models/mine").toString());
    assertThat(read(start + "runwayml/stable-diffusion-v1-5").model().required())
        .isEqualTo("runwayml/stable-diffusion-v1-5");
    assertThat(read(start + "../weights/sprites64").model().required())
        .isEqualTo(folder.resolveSibling("weights/sprites64").toString());
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> read("instance_data_dir: a").model().required())
        .withMessageContaining("pretrained_model_name_or_path is missing");
  }

  @Test
  void shouldAverageWithAWarmupByDefault() throws IOException {
    assertThat(read("instance_data_dir: a").ema().used()).isFalse();
    assertThat(read("instance_data_dir: a\nuse_ema: true").ema())
        .isEqualTo(new EmaConfig(true, 0.9999, EmaConfig.Warmup.RATIO, 1, 0.75, 0, 0));
    assertThat(
            read("instance_data_dir: a\nuse_ema: true\nema_warmup: power\nema_max_decay: 0.99")
                .ema())
        .isEqualTo(new EmaConfig(true, 0.99, EmaConfig.Warmup.POWER, 1, 0.75, 0, 0));
    assertThat(read("instance_data_dir: a\nuse_ema: true\ninfer_ema: false").ema().used())
        .isFalse();
  }

  @Test
  void shouldGiveEachConceptASamplerOfItsOwn() throws IOException {
    Config config =
        read(
            """
            scheduler: ddim
            class_scheduler: unipc
            concepts_list:
            - instance_data_dir: a
              class_scheduler: EulerAncestralDiscreteScheduler
            - instance_data_dir: b
            """);
    assertThat(config.concepts())
        .extracting(concept -> String.valueOf(concept.classImages().scheduler()))
        .containsExactly("euler_ancestral", "unipc");
    assertThat(read("instance_data_dir: a").concepts().get(0).classImages().scheduler()).isNull();
  }

  @Test
  void shouldReadBackWhatItWrites() throws IOException {
    String yaml =
        """
        pretrained_model_name_or_path: "true"
        instance_data_dir: "pic: #1"
        instance_token: 'null'
        class_token: "1e3"
        validation_prompt: "a 'quoted' \\"text\\", with: [all] {kinds} of # marks\\n and é"
        max_train_steps: 5
        learning_rate: 1.25e-7
        text_encoder_learning_rate: 5e-8
        text_encoder_2_learning_rate: 3e-8
        seed: -9007199254740993
        num_class_images: 7
        lr_scheduler: cosine_with_restarts
        stop_text_encoder: 0.25
        caption_extension: "Caption, .txt"
        multiline_captions: drawn
        keep_tokens: 2
        caption_tag_dropout_rate: 0.1
        disable_class_matching: true
        class_scheduler: EulerDiscreteScheduler
        max_token_length: 150
        loss_weight: 0.5
        buckets: kohya
        bucket_reso_steps: 32
        bucket_no_upscale: true
        bucket_remainder: fill
        crop: "0.25, 1"
        """;
    Config config = read(yaml);
    assertThat(config.data().captions().extensions()).containsExactly(".caption", ".txt");
    Path written = folder.resolve("deeper/config.yaml");
    Files.createDirectories(folder.resolve("deeper"));
    Files.writeString(written, ConfigWriter.toYaml(config));
    assertThat(ConfigReader.read(written, Map.of()).config()).isEqualTo(config);
    Config extension =
        ConfigReader.read(Path.of("src/test/resources/config/db_config.json"), Map.of()).config();
    Files.writeString(written, ConfigWriter.toYaml(extension));
    assertThat(ConfigReader.read(written, Map.of()).config()).isEqualTo(extension);
  }

  @Test
  void shouldGiveEveryKeyANameOfItsOwnAndADefaultThatItWouldTake() {
    Set<String> names = new HashSet<>();
    for (Key<?, ?> key : Keys.all()) {
      assertThat(names.add(key.name())).as(key.name()).isTrue();
      key.aliases().forEach(alias -> assertThat(names.add(alias)).as(alias).isTrue());
      assertThat(key.help()).endsWith(".");
      String standard = key.defaultText();
      if (standard != null) {
        assertThat(key.type().parser().parse(standard, Path.of(""))).as(key.name()).isNotNull();
      }
    }
    assertThat(names).doesNotContainAnyElementsOf(ForeignKeys.names());
    assertThat(ConfigReader.knownNames())
        .containsAll(names)
        .contains("use_8bit_adam", "concepts_path");
    assertThat(List.copyOf(names)).hasSizeGreaterThan(50);
  }

  @Test
  void shouldLetThePriorLossWeightFallAsTheExtensionDoes() {
    PriorConfig falling =
        new PriorConfig(true, PriorConfig.Source.CLASS_IMAGES, false, 0.75, true, 100, 0.1, 4, 0);
    assertThat(falling.weightAt(0)).isEqualTo(0.75);
    assertThat(falling.weightAt(50)).isEqualTo(0.425);
    assertThat(falling.weightAt(100)).isEqualTo(0.1);
    assertThat(falling.weightAt(150)).isEqualTo(0.1);
    assertThat(
            new PriorConfig(
                    true, PriorConfig.Source.CLASS_IMAGES, false, 0.75, false, 100, 0.1, 4, 0)
                .weightAt(50))
        .isEqualTo(0.75);
  }

  @Test
  void shouldRefuseMoreConceptsThanARunCanTeach(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("many.yaml");
    Files.writeString(file, "concepts_list:\n" + "- {instance_data_dir: p}\n".repeat(30_000));
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> ConfigReader.read(file, Map.of()))
        .withMessageContaining("many.yaml:2: concepts_list has 30,000 concepts, at most 1,000")
        .matches(problem -> problem.kind() == Problem.Kind.USAGE);
  }
}
