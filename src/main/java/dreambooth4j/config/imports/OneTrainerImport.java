package dreambooth4j.config.imports;

import com.fasterxml.jackson.databind.JsonNode;
import dreambooth4j.config.imports.Draft.NotPossible;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A preset or a whole configuration of OneTrainer. */
final class OneTrainerImport extends RunImport {
  private static final Map<String, String> TYPES =
      Map.of("FLOAT_32", "fp32", "TFLOAT_32", "fp32", "FLOAT_16", "fp16", "BFLOAT_16", "bf16");

  private static final Map<String, String> SCHEDULERS =
      Map.of(
          "COSINE_WITH_RESTARTS", "cosine_with_soft_restarts",
          "COSINE_WITH_HARD_RESTARTS", "cosine_with_restarts");

  private static final Map<String, String> LAYERS =
      Map.of("attn-only", "attention", "attn-mlp", "all-linear", "full", "convolutions");

  private static final List<String> LOSSES =
      List.of("mse_strength", "mae_strength", "log_cosh_strength", "huber_strength");

  private final boolean lora;
  private final boolean word;

  OneTrainerImport(Draft draft, JsonNode root) {
    super(draft, new LinkedHashMap<>());
    flatten("", root);
    lora = value("training_method").equals("LORA");
    word = value("training_method").equals("EMBEDDING");
    addModel();
    addWord();
    addTraining();
    addLoss();
    addOutput();
  }

  private void flatten(String prefix, JsonNode table) {
    table
        .properties()
        .forEach(
            each -> {
              String name = prefix + each.getKey();
              JsonNode value = each.getValue();
              boolean part = name.matches("unet|vae|text_encoder(_2)?|optimizer|embedding");
              if (part && value.isObject()) {
                flatten(name + ".", value);
              } else if (!name.equals("concepts") && !name.equals("samples")) {
                given.put(name, TomlValues.isScalar(value) ? TomlValues.text(value) : "...");
              }
            });
  }

  /** Takes every key, and adds OneTrainer's defaults where they are not ours. */
  void run() {
    takeAll(List.of("optimizer.optimizer", "learning_rate"), List.of());
    addDefaults();
  }

  private boolean on(String name) {
    return value(name).equals("true");
  }

  private void addModel() {
    converters.put(
        "base_model_name",
        value -> draft.put("pretrained_model_name_or_path", draft.pathOrName(value)));
    converters.put("training_method", this::method);
    converters.put("model_type", this::modelType);
    converters.put("peft_type", this::adapterKind);
    converters.put(
        "lora_decompose",
        value -> lora && value.equals("true") ? draft.put("lora_kind", "dora") : "it is off");
    converters.put(
        "dropout_probability",
        value -> lora ? draft.put("lora_dropout", value) : "no adapters are trained");
    converters.put(
        "lokr_dim",
        value ->
            value("peft_type").equals("LOKR") ? draft.put("lora_rank", value) : "it is LOKR's");
    converters.put(
        "lokr_decompose_factor",
        value ->
            value("peft_type").equals("LOKR") && number(value) > 0
                ? draft.put("lora_factor", whole(value))
                : "left to the layer");
    converters.put("lora_model_name", value -> lora(value, "lora_weights"));
    converters.put(
        "layer_filter_preset",
        value -> lora ? draft.put("lora_targets", of(LAYERS, value)) : "all layers train");
    converters.put(
        "force_epsilon_prediction",
        value ->
            value.equals("true") ? draft.put("prediction_type", "epsilon") : "the model's own");
    converters.put("text_encoder_layer_skip", value -> draft.put("clip_skip", whole(value) + 1));
    converters.put("resolution", value -> draft.put("resolution", value.split("[,x ]", -1)[0]));
    converters.put(
        "aspect_ratio_bucketing",
        value -> draft.put("buckets", value.equals("true") ? "onetrainer" : "kohya"));
  }

  private void addWord() {
    converters.put("embedding.placeholder", value -> ofWord("placeholder_token", value));
    converters.put("embedding.initial_embedding_text", v -> ofNewVectors("initializer_token", v));
    converters.put("embedding.token_count", this::tokenCount);
    converters.put(
        "embedding.model_name",
        value -> ofWord("embedding_weights", value.isEmpty() ? "" : draft.path(value).toString()));
    converters.put("embedding_learning_rate", v -> ofWord("embedding_learning_rate", v));
  }

  private String tokenCount(String value) throws NotPossible {
    if (word && value.isEmpty() && value("embedding.model_name").isEmpty()) {
      throw new NotPossible(
          "there, the word gets as many vectors as initial_embedding_text has tokens: set num_vectors to that number, or it gets one");
    }
    return ofNewVectors("num_vectors", value);
  }

  private String ofNewVectors(String key, String value) throws NotPossible {
    return word && !value("embedding.model_name").isEmpty()
        ? "the file of embedding.model_name has its own vectors, and training goes on from them"
        : ofWord(key, value);
  }

  private String ofWord(String key, String value) throws NotPossible {
    if (!word) {
      return "no embedding is trained";
    }
    return value.isEmpty() ? "left at its default" : draft.put(key, value);
  }

  private void addTraining() {
    converters.put("optimizer.optimizer", value -> OptimizerSettings.name(draft, value));
    converters.put("optimizer", converters.get("optimizer.optimizer"));
    for (String each :
        "momentum nesterov d0 d_coef use_bias_correction safeguard_warmup relative_step scale_parameter warmup_init clip_threshold decay_rate r weight_lr_power"
            .split(" ", -1)) {
      converters.put("optimizer." + each, value -> argument(each, value));
    }
    converters.put("optimizer.eps", value -> argument("eps", value));
    converters.put(
        "optimizer.fused_back_pass",
        value -> value.equals("true") ? draft.put("fused_backward_pass", true) : "it is off");
    converters.put(
        "learning_rate_scheduler",
        value ->
            draft.put(
                "lr_scheduler", SCHEDULERS.getOrDefault(value, value.toLowerCase(Locale.ROOT))));
    converters.put("learning_rate_warmup_steps", this::warmup);
    converters.put("unet.learning_rate", value -> rate("learning_rate", value));
    converters.put(
        "text_encoder.train",
        value -> word ? "an embedding trains alone" : draft.put("train_text_encoder", value));
    converters.put(
        "text_encoder_2.train",
        value ->
            is(
                value,
                draft.has("train_text_encoder") && !word ? on("text_encoder.train") + "" : value,
                "train_text_encoder trains both text encoders or none"));
    converters.put("text_encoder.stop_training_after", this::stopTextEncoder);
    for (String each :
        List.of(
            "text_encoder.stop_training_after_unit",
            "text_encoder_2.stop_training_after",
            "text_encoder_2.stop_training_after_unit")) {
      converters.put(each, value -> "see text_encoder.stop_training_after");
    }
    converters.put("ema", value -> draft.put("use_ema", !value.equals("OFF")));
    converters.put("train_dtype", this::trainType);
    converters.put("fallback_train_dtype", value -> "mixed_precision is train_dtype's");
    converters.put(
        "unet.weight_dtype",
        value ->
            !lora && value.equals("BFLOAT_16") && value("train_dtype").equals("BFLOAT_16")
                ? draft.put("full_bf16", true)
                : "weights that train are kept in float32");
    converters.put(
        "gradient_checkpointing",
        value ->
            draft.put("gradient_checkpointing", !value.equals("OFF") && !value.equals("false")));
  }

  private void addLoss() {
    LOSSES.forEach(each -> converters.put(each, value -> loss(each, value)));
    converters.put(
        "masked_training",
        value ->
            draft.put("masked_loss", value)
                + (value.equals("true") ? "; name masks 01.mask.png, not 01-masklabel.png" : ""));
    converters.put("masked_prior_preservation_weight", this::maskedPrior);
    converters.put("loss_weight_fn", this::lossWeight);
    converters.put("loss_weight_strength", value -> "see loss_weight_fn");
    converters.put(
        "min_noising_strength",
        value -> draft.put("min_timestep", Math.round(number(value) * 1000)));
    converters.put(
        "max_noising_strength",
        value -> draft.put("max_timestep", Math.round(number(value) * 1000)));
    converters.put(
        "timestep_distribution",
        value -> draft.put("timestep_distribution", value.toLowerCase(Locale.ROOT)));
  }

  private void addOutput() {
    converters.put(
        "output_model_destination",
        value ->
            draft.put("output_dir", draft.path(value.replaceFirst("\\.(safetensors|ckpt)$", ""))));
    converters.put("workspace_dir", value -> "output_dir holds all that a run leaves");
    converters.put("output_model_format", this::format);
    converters.put("output_dtype", value -> draft.put("save_precision", of(TYPES, value)));
    converters.put("concept_file_name", value -> "concepts_list has its concepts");
    converters.put(
        "sample_definition_file_name", value -> "save_sample_prompt is its first sample");
    converters.put(
        "sample_after",
        value -> every("sample_after", "validation_steps", "save_preview_every", null));
    converters.put(
        "backup_after",
        value ->
            every(
                "backup_after",
                "checkpointing_steps",
                "save_embedding_every",
                "checkpointing_minutes"));
    converters.put("save_every", value -> every("save_every", "save_model_every", null, null));
    for (String each : List.of("sample_after_unit", "backup_after_unit", "save_every_unit")) {
      converters.put(each, value -> "see " + each.replace("_unit", ""));
    }
    converters.put(
        "rolling_backup",
        value ->
            value.equals("true")
                ? draft.put("checkpoints_total_limit", count("rolling_backup_count", "3"))
                : "all are kept");
    converters.put("rolling_backup_count", value -> "see rolling_backup");
    converters.put(
        "continue_last_backup",
        value ->
            "give it on the command line when you want to resume: --resume_from_checkpoint"
                + " latest");
  }

  private String count(String name, String otherwise) {
    return value(name).isEmpty() ? otherwise : value(name);
  }

  private String method(String value) throws NotPossible {
    if (word) {
      return draft.put("train_unet", false) + ", " + draft.put("train_text_encoder", false);
    }
    if (!value.matches("LORA|FINE_TUNE")) {
      throw new NotPossible(
          "trained are the UNet and the text encoders, whole or by LoRA, and embeddings: set use_lora");
    }
    return draft.put("use_lora", lora);
  }

  private String adapterKind(String value) throws NotPossible {
    if (!lora) {
      return "no adapters are trained";
    }
    return value.equals("LORA")
        ? "use_lora: true trains it"
        : draft.put("lora_kind", value.toLowerCase(Locale.ROOT));
  }

  private String modelType(String value) throws NotPossible {
    if (!value.matches("STABLE_DIFFUSION_(15|20(_BASE)?|21(_BASE)?|XL_10_BASE)")) {
      throw new NotPossible(
          "Stable Diffusion 1, 2 and SDXL are trained, not for inpainting: take one of them as"
              + " pretrained_model_name_or_path");
    }
    return "the base model's own files say it";
  }

  private String lora(String value, String key) throws NotPossible {
    return value.isEmpty() || !lora ? "none is given" : draft.put(key, draft.path(value));
  }

  private String argument(String name, String value) throws NotPossible {
    return value.isEmpty() ? "left at its default" : OptimizerSettings.argument(draft, name, value);
  }

  private String warmup(String value) throws NotPossible {
    double steps = number(value);
    if (steps > 0 && steps <= 1) {
      throw new NotPossible(
          "how many steps a part of the run is, is not known before it: set lr_warmup_steps");
    }
    return draft.put("lr_warmup_steps", (int) steps);
  }

  private String rate(String key, String value) throws NotPossible {
    return value.isEmpty() ? "as learning_rate" : draft.put(key, value);
  }

  private String stopTextEncoder(String value) throws NotPossible {
    String unit = count("text_encoder.stop_training_after_unit", "EPOCH");
    boolean frozen = word || value("text_encoder.train").equals("false");
    if (frozen || unit.equals("NEVER") || value.isEmpty()) {
      return "it trains to the end, or not at all";
    }
    if (!unit.equals("EPOCH")) {
      throw new NotPossible("set stop_text_encoder to the part of the run, from 0 to 1");
    }
    return draft.put(
        "stop_text_encoder",
        Math.min(1.0, number(value) / Math.max(1, number(count("epochs", "100")))));
  }

  private String trainType(String value) throws NotPossible {
    String type = of(TYPES, value);
    String set = draft.put("mixed_precision", type.equals("fp32") ? "no" : type);
    return value.equals("TFLOAT_32") ? set + ", " + draft.put("allow_tf32", true) : set;
  }

  private String maskedPrior(String value) throws NotPossible {
    if (!lora || !on("masked_training") || number(value) == 0) {
      return "its value changes nothing: it is for LoRA with masked_training";
    }
    if (on("normalize_masked_area_loss")) {
      throw new NotPossible(
          "it is not done with normalize_masked_area_loss: leave out one of the two");
    }
    return draft.put("masked_prior_preservation_weight", value);
  }

  private String loss(String name, String value) throws NotPossible {
    if (number(value) == 0) {
      return "it is off";
    }
    long others = LOSSES.stream().filter(each -> !value(each).matches("|0(\\.0)?")).count();
    if (others > 1) {
      throw new NotPossible("one loss is trained at a time: choose one as loss_type");
    }
    return draft.put(
        "loss_type",
        switch (name) {
          case "mae_strength" -> "l1";
          case "log_cosh_strength" -> "log_cosh";
          case "huber_strength" -> "classic_huber";
          default -> "l2";
        });
  }

  private String lossWeight(String value) throws NotPossible {
    String strength = count("loss_weight_strength", "5");
    return switch (value) {
      case "CONSTANT" -> "all timesteps count the same";
      case "MIN_SNR_GAMMA" -> draft.put("snr_gamma", strength);
      case "P2" -> draft.put("p2_gamma", strength);
      case "DEBIASED_ESTIMATION" -> draft.put("debiased_estimation_loss", "onetrainer");
      default -> throw new NotPossible("set snr_gamma, p2_gamma or debiased_estimation_loss");
    };
  }

  private String format(String value) throws NotPossible {
    if (lora) {
      return draft.put("lora_files", value.equals("DIFFUSERS_LORA") ? "diffusers" : "kohya");
    }
    return draft.put("save_model_as", value.equals("DIFFUSERS") ? "diffusers" : "safetensors");
  }

  private String every(
      String name, @Nullable String steps, @Nullable String epochs, @Nullable String minutes)
      throws NotPossible {
    String unit = count(name + "_unit", name.equals("save_every") ? "NEVER" : "MINUTE");
    int number = whole(value(name));
    String key =
        switch (unit) {
          case "STEP" -> steps;
          case "EPOCH" -> epochs;
          case "MINUTE" -> minutes;
          case "HOUR" -> minutes;
          default -> "";
        };
    if (key == null) {
      throw new NotPossible("by the clock or by epochs it is not done: set %s".formatted(steps));
    }
    if (key.isEmpty()) {
      return "never";
    }
    return draft.put(key, unit.equals("HOUR") ? 60 * number : number);
  }

  private static String is(String value, String wanted, String otherwise) throws NotPossible {
    if (!value.equals(wanted)) {
      throw new NotPossible(otherwise);
    }
    return otherwise;
  }

  private static String of(Map<String, String> names, String value) throws NotPossible {
    String here = names.get(value);
    if (here == null) {
      throw new NotPossible(
          "there is no such thing here: choose one of " + String.join(", ", names.keySet()));
    }
    return here;
  }

  private void addDefaults() {
    String theirs = "OneTrainer's default";
    draft.add("learning_rate", "3e-6", theirs);
    draft.add("lr_warmup_steps", 200, theirs);
    draft.add("mixed_precision", "fp16", theirs);
    draft.add("buckets", "onetrainer", theirs);
    String said = draft.get("num_train_epochs");
    double epochs = said == null ? 100 : Double.parseDouble(said); // a whole number, maybe 2.0
    if (!draft.has("stop_text_encoder") && !draft.has("train_text_encoder")) {
      draft.add(
          "stop_text_encoder", Math.min(1.0, 30.0 / epochs), "there, it trains for 30 epochs");
    }
    OptimizerSettings.check(draft);
    if (lora) {
      draft.add("lora_rank", 16, theirs);
      draft.add("lora_alpha", 1, theirs);
      draft.add("lora_targets", "convolutions", theirs);
    }
    if ("true".equals(draft.get("masked_loss"))) {
      draft.add("unmasked_weight", 0.1, theirs);
    }
    if (draft.has("use_ema")) {
      draft.add("ema_decay", 0.999, theirs);
    }
    String side = draft.get("resolution");
    if ("kohya".equals(draft.get("buckets")) && side != null) {
      String why = "without aspect_ratio_bucketing all pictures are cropped to one square";
      draft.add("min_bucket_reso", side, why);
      draft.add("max_bucket_reso", side, why);
      draft.add("bucket_reso_steps", 8, why);
    }
  }
}
