package dreambooth4j.config;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What is declared of each key holds where it is read, written, described and compared. */
class KeysTest {
  private static final Map<String, String> START =
      Map.of(
          "instance_data_dir", "a",
          "class_data_dir", "c",
          "class_token", "man",
          "buckets", "kohya");

  private static final Map<String, String> LORA = Map.of("use_lora", "true");
  private static final Map<String, String> WORD = Map.of("placeholder_token", "<new>");

  /** What else must be said so that a key can have another value. */
  private static final Map<String, Map<String, String>> NEEDS =
      Map.ofEntries(
          Map.entry("save_best", Map.of("validation_share", "0.2")),
          Map.entry("early_stopping_patience", Map.of("validation_share", "0.2")),
          Map.entry("bucket_reso_steps", Map.of("min_bucket_reso", "512")),
          Map.entry("full_bf16", Map.of("mixed_precision", "bf16")),
          Map.entry("fused_backward_pass", Map.of("max_grad_norm", "0")),
          Map.entry("infer_ema", Map.of("use_ema", "true")),
          Map.entry("prior", Map.of("use_lora", "true", "class_token", "man")),
          Map.entry("lora_weights", LORA),
          Map.entry("lora_kind", LORA),
          Map.entry(
              "masked_prior_preservation_weight",
              Map.of("masked_loss", "true", "use_lora", "true")),
          Map.entry("train_unet", Map.of("train_text_encoder", "true")),
          Map.entry("initializer_token", WORD),
          Map.entry("num_vectors", WORD),
          Map.entry("embedding_learning_rate", WORD),
          Map.entry("embedding_weights", WORD),
          Map.entry("optimizer_args", Map.of("optimizer", "SGD")),
          Map.entry("lora_rank", LORA),
          Map.entry("lora_txt_rank", LORA),
          Map.entry("lora_conv_rank", LORA),
          Map.entry("lora_alpha", LORA),
          Map.entry("lora_dropout", LORA),
          Map.entry("lora_factor", Map.of("lora_kind", "lokr")),
          Map.entry("lora_targets", LORA),
          Map.entry("lora_files", LORA),
          Map.entry("half_lora", LORA),
          Map.entry("lora_learning_rate", LORA),
          Map.entry("lora_txt_learning_rate", LORA));

  /** Values that are none of the usual ones. */
  private static final Map<String, String> OWN_VALUES =
      Map.of("infer_ema", "false", "sample_prompts", "src/examples/santa/images/01.txt");

  /** Other ways of saying something: what they change lies in another key. */
  private static final Map<String, Set<String>> CHANGE_OTHERS =
      Map.ofEntries(
          Map.entry("infer_ema", Set.of("use_ema")),
          Map.entry("train_text_encoder", Set.of("stop_text_encoder")),
          Map.entry("num_class_images", Set.of("num_class_images", "num_class_images_per")),
          Map.entry("optimizer", Set.of("use_8bit_adam")),
          Map.entry(
              "use_lora",
              Set.of(
                  "use_lora",
                  "learning_rate",
                  "lora_kind",
                  "lora_rank",
                  "lora_targets",
                  "lora_factor",
                  "lora_dropout",
                  "lora_files",
                  "half_lora")),
          Map.entry(
              "placeholder_token", Set.of("placeholder_token", "initializer_token", "num_vectors")),
          Map.entry(
              "embedding_weights", Set.of("embedding_weights", "initializer_token", "num_vectors")),
          Map.entry("lora_learning_rate", Set.of("learning_rate")),
          Map.entry("lora_txt_learning_rate", Set.of("text_encoder_learning_rate")),
          Map.entry("save_preview_every", Set.of("save_preview_every", "validation_steps")),
          Map.entry("save_embedding_every", Set.of("save_embedding_every", "checkpointing_steps")),
          Map.entry("output_dir", Set.of("output_dir", "cache_dir")),
          Map.entry("cache_latents", Set.of("cache_latents", "cache_dir")));

  /** Of a list of sizes other than kohya's these have no value. */
  private static final Set<String> OF_KOHYA =
      Set.of(
          "buckets",
          "min_bucket_reso",
          "max_bucket_reso",
          "bucket_reso_steps",
          "bucket_no_upscale");

  private static final List<String> SOME_VALUES =
      List.of("true", "false", "3", "0.25", "512", "1024", "other", "random", "momentum=0.5");

  static Stream<Key<?, ?>> keys() {
    return Keys.all().stream();
  }

  /** All but the one that says how the others are read. */
  static Stream<Key<?, ?>> keysOfRecords() {
    return keys().filter(key -> key != Config.DEFAULTS);
  }

  private static Map<String, String> values(Map<String, String> flags) {
    Config config = ConfigReader.read(null, flags).config();
    Map<Key<?, ?>, Object> values = new HashMap<>(Keys.valuesOf(config));
    values.putAll(Keys.valuesOf(config.concepts().get(0)));
    return values.entrySet().stream()
        .collect(Collectors.toMap(e -> e.getKey().name(), e -> e.getValue().toString()));
  }

  /** A value that the key takes and does not have. */
  private static String another(Key<?, ?> key, Map<String, String> before) {
    String allowed = key.type().allowed();
    List<String> candidates = new ArrayList<>();
    if (allowed.startsWith("one of ")) {
      candidates.addAll(List.of(allowed.substring("one of ".length()).split(", ")));
    }
    candidates.addAll(SOME_VALUES);
    for (String text : candidates) {
      try {
        String value = key.type().parser().parse(text, Path.of("")).toString();
        if (!value.equals(before.getOrDefault(key.name(), key.defaultText()))) {
          return text;
        }
      } catch (IllegalArgumentException e) {
        // another one
      }
    }
    throw new AssertionError("no other value for " + key.name());
  }

  @ParameterizedTest
  @MethodSource("keysOfRecords")
  void shouldReadEachKeyIntoItsOwnPlaceAndNoOther(Key<?, ?> key) {
    Map<String, String> flags = new HashMap<>(START);
    flags.putAll(NEEDS.getOrDefault(key.name(), Map.of()));
    Map<String, String> before = values(flags);
    String own = OWN_VALUES.get(key.name());
    flags.put(key.name(), own == null ? another(key, before) : own);
    Map<String, String> after = values(flags);
    Set<String> changed =
        Stream.concat(before.keySet().stream(), after.keySet().stream())
            .filter(name -> !after.getOrDefault(name, "").equals(before.getOrDefault(name, "")))
            .collect(Collectors.toSet());
    Set<String> expected =
        key.name().equals("buckets")
            ? OF_KOHYA
            : CHANGE_OTHERS.getOrDefault(key.name(), Set.of(key.name()));
    assertThat(changed).isEqualTo(expected);
  }

  @Test
  void shouldCompareAResumedRunByEveryKeyThatHasAPartInTheWeights() {
    Set<String> decide = DecidingKeys.of(ConfigReader.read(null, START).config()).keySet();
    assertThat(Keys.all())
        .extracting(Key::name)
        .filteredOn(name -> !decide.contains(name))
        .containsExactlyInAnyOrder(
            "defaults",
            "instance_data_dir",
            "class_data_dir",
            "device",
            "cuda_graph",
            "sample_batch_size",
            "gradient_checkpointing",
            "use_8bit_adam",
            "fused_backward_pass",
            "unload_frozen",
            "shard_optimizer",
            "n_save_sample",
            "save_sample_prompt",
            "save_sample_negative_prompt",
            "save_guidance_scale",
            "save_infer_steps",
            "sample_seed",
            "validation_prompt",
            "num_validation_images",
            "validation_steps",
            "save_preview_every",
            "scheduler",
            "prompt_weights",
            "wildcards_dir",
            "sample_prompts",
            "sample_loras",
            "no_metadata",
            "output_dir",
            "checkpointing_steps",
            "save_embedding_every",
            "checkpointing_minutes",
            "checkpoints_total_limit",
            "checkpoints_keep_every",
            "save_model_every",
            "save_model_as",
            "save_precision",
            "save_state_after",
            "resume_from_checkpoint",
            "cache_latents",
            "cache_dir",
            "monitor",
            "monitor_port",
            "vae_tiling",
            "validation_data_dir",
            "validation_share",
            "validate_every_n_steps",
            "save_best",
            "early_stopping_patience",
            "report_to",
            "bleed_report",
            "lora_files",
            "half_lora");
  }

  /** A line of help is read alone: it is a sentence that needs no line beside it. */
  @ParameterizedTest
  @MethodSource("keys")
  void shouldSayWhatItDoesInWholeSentences(Key<?, ?> key) {
    assertThat(key.help()).matches("[A-Z0-9].*\\.").hasSizeBetween(30, 300);
    assertThat(key.help())
        .doesNotContainPattern("(?i)^(their|it|they|where;|of ema|that weight|shall)\\b")
        .doesNotContain("shall ");
  }

  @Test
  void shouldSayDefaultsForPeople() {
    assertThat(OptimizerConfig.LEARNING_RATE.defaultInWords()).isEqualTo("2e-6");
    assertThat(OptimizerConfig.ADAM_BETA2.defaultInWords()).isEqualTo("0.999, with Lion 0.99");
    assertThat(OptimizerConfig.MAX_GRAD_NORM.defaultInWords()).isEqualTo("1");
    assertThat(NoiseConfig.OFFSET_NOISE.defaultInWords()).isEqualTo("0");
    assertThat(OutputConfig.CHECKPOINTING_STEPS.defaultInWords()).isEqualTo("500 steps");
    assertThat(TrainingConfig.TRAIN_BATCH_SIZE.defaultInWords()).isEqualTo("1 picture");
    assertThat(TrainingConfig.GRADIENT_ACCUMULATION_STEPS.defaultInWords()).isEqualTo("1 batch");
    assertThat(OutputConfig.CACHE_DIR.defaultInWords()).isEqualTo("<output_dir>/cache");
    assertThat(ConceptSamplesConfig.PROMPT.defaultInWords()).startsWith("the instance prompt");
  }
}
