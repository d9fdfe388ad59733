package dreambooth4j.config.imports;

import dreambooth4j.config.imports.Draft.Converter;
import dreambooth4j.config.imports.Draft.NotPossible;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * The keys of a run of kohya's sd-scripts, which are converted; those of concepts are elsewhere.
 */
final class KohyaImport extends RunImport {
  /** What its scripts train where nobody says how long. */
  private static final int DEFAULT_STEPS = 1600;

  private final boolean hasClassImages;
  private final boolean lora;
  private final String script;

  /**
   * An import of these keys.
   *
   * @param script the name of the script that trains; empty if it is not known
   * @param hasClassImages whether a folder of regularisation pictures is given
   */
  KohyaImport(Draft draft, Map<String, String> given, String script, boolean hasClassImages) {
    super(draft, given);
    this.script = script;
    this.hasClassImages = hasClassImages || given.containsKey("reg_data_dir");
    this.lora = given.containsKey("network_module") || script.endsWith("train_network.py");
    addModelAndData();
    addTraining();
    addOutput();
  }

  /** Takes every key, and adds the scripts' defaults where they are not ours. */
  void run() {
    takeAll(List.of("network_module", "optimizer_type"), List.of("weighted_captions"));
    addDefaults();
    takeLast();
  }

  private boolean on(String name) {
    return value(name).equalsIgnoreCase("true");
  }

  private void addModelAndData() {
    converters.put(
        "pretrained_model_name_or_path",
        value -> draft.put("pretrained_model_name_or_path", draft.pathOrName(value)));
    converters.put("v2", value -> "the base model's own files say it");
    converters.put("train_data_dir", value -> draft.put("instance_data_dir", draft.path(value)));
    converters.put("image_dir", converters.get("train_data_dir"));
    converters.put(
        "reg_data_dir",
        value ->
            draft.put("class_data_dir", draft.path(value))
                + ", "
                + draft.put("disable_class_matching", true));
    converters.put("caption_prefix", value -> prompt());
    converters.put("caption_suffix", value -> prompt());
    converters.put("class_tokens", value -> draft.put("instance_prompt", value));
    converters.put("is_reg", value -> "it belongs to a subset of a dataset");
    converters.put("train_batch_size", this::batch);
    converters.put("batch_size", this::batch);
    converters.put("resolution", this::resolution);
    converters.put(
        "enable_bucket",
        value -> on("enable_bucket") ? draft.put("buckets", "kohya") : "one square size");
    for (String each :
        new String[] {
          "min_bucket_reso", "max_bucket_reso", "bucket_reso_steps", "bucket_no_upscale"
        }) {
      converters.put(
          each,
          value ->
              on("enable_bucket") ? draft.put(each, value) : "without buckets it says nothing");
    }
    converters.put(
        "random_crop", value -> draft.put("crop", value.equals("true") ? "random" : "center"));
    converters.put(
        "enable_wildcard",
        value -> draft.put("multiline_captions", value.equals("true") ? "drawn" : "first"));
    Converter masks = value -> draft.put("masked_loss", true);
    converters.put("masked_loss", value -> draft.put("masked_loss", value));
    converters.put("conditioning_data_dir", masks);
  }

  private void addTraining() {
    converters.put("optimizer_type", value -> OptimizerSettings.name(draft, value));
    converters.put(
        "use_lion_optimizer",
        value -> on("use_lion_optimizer") ? OptimizerSettings.name(draft, "Lion") : "it is off");
    converters.put("optimizer_args", this::optimizerArguments);
    converters.put("lr_scheduler", this::scheduler);
    converters.put("lr_warmup_steps", value -> steps("lr_warmup_steps", value));
    converters.put("lr_decay_steps", value -> steps("lr_decay_steps", value));
    converters.put("max_grad_norm", this::gradientNorm);
    converters.put("text_encoder_lr", this::textEncoderRate);
    converters.put("network_module", this::network);
    converters.put("network_args", this::networkArguments);
    converters.put("network_dropout", value -> draft.put("lora_dropout", value));
    converters.put("token_string", this::word);
    converters.put("init_word", value -> ofNewVectors("initializer_token", value));
    converters.put("num_vectors_per_token", value -> ofNewVectors("num_vectors", value));
    converters.put("weighted_captions", this::weightedCaptions);
    converters.put("weights", value -> draft.put("embedding_weights", draft.path(value)));
    converters.put(
        "network_train_text_encoder_only",
        value -> draft.put("train_unet", !value.equalsIgnoreCase("true")));
    converters.put("network_weights", value -> draft.put("lora_weights", draft.path(value)));
    converters.put(
        "network_train_unet_only",
        value -> draft.put("train_text_encoder", !value.equalsIgnoreCase("true")));
    converters.put("train_text_encoder", value -> draft.put("train_text_encoder", value));
    converters.put("stop_text_encoder_training", this::stopTextEncoder);
  }

  private void addOutput() {
    Converter output =
        value -> draft.put("output_dir", draft.path(value("output_dir") + "/" + outputName()));
    converters.put("output_dir", output);
    converters.put("output_name", output);
    converters.put(
        "save_precision",
        value -> draft.put("save_precision", value.equals("float") ? "fp32" : value));
    converters.put(
        "save_model_as",
        value ->
            lora
                ? "a LoRA is always one .safetensors file"
                : draft.put(
                    "save_model_as", value.startsWith("diffusers") ? "diffusers" : "safetensors"));
    converters.put("save_every_n_epochs", value -> draft.put("save_embedding_every", value));
    converters.put("save_n_epoch_ratio", this::saveRatio);
    converters.put("save_state", value -> draft.put("save_state_after", value));
    converters.put("save_state_on_train_end", converters.get("save_state"));
    Converter steps = this::keptSteps;
    Converter epochs = value -> draft.put("checkpoints_total_limit", value);
    converters.put("save_last_n_steps", steps);
    converters.put("save_last_n_steps_state", steps);
    converters.put("save_last_n_epochs", epochs);
    converters.put("save_last_n_epochs_state", epochs);
    converters.put("sample_prompts", this::samplePrompts);
    converters.put("sample_sampler", value -> SamplerNames.sampler(draft, value));
  }

  private String outputName() {
    return value("output_name").isEmpty() ? "last" : value("output_name");
  }

  private String prompt() throws NotPossible {
    return draft.put(
        "instance_prompt",
        (value("caption_prefix") + " [filewords] " + value("caption_suffix")).strip());
  }

  private String batch(String rows) throws NotPossible {
    int count = whole(rows);
    return draft.put("train_batch_size", hasClassImages ? Math.max(1, count / 2) : count);
  }

  private String resolution(String text) throws NotPossible {
    String[] sides = text.split("[ ,]+", -1);
    int width = whole(sides[0]);
    int height = sides.length > 1 ? whole(sides[1]) : width;
    int side = (int) Math.round(Math.sqrt((double) width * height) / 8) * 8;
    String set = draft.put("resolution", width == height ? width : side);
    return width == height
        ? set
        : set + ", about as many pixels as %d x %d".formatted(width, height);
  }

  private String optimizerArguments(String text) throws NotPossible {
    return each(text, (name, value) -> OptimizerSettings.argument(draft, name, value));
  }

  /** How one of several arguments, name=value, is converted. */
  private interface Argument {
    String convert(String name, String value) throws NotPossible;
  }

  /** Converts all of them; if some are not possible, the others are said too. */
  private static String each(String text, Argument argument) throws NotPossible {
    List<String> said = new ArrayList<>();
    List<String> refused = new ArrayList<>();
    for (String each : text.split(" (?=\\w+=)", -1)) {
      int equals = each.indexOf('=');
      if (equals < 1) {
        throw new NotPossible("it is not of the form name=value: set what it asks for by hand");
      }
      String name = each.substring(0, equals);
      try {
        said.add(argument.convert(name, each.substring(equals + 1)));
      } catch (NotPossible e) {
        refused.add(name + ": " + e.getMessage());
      }
    }
    if (refused.isEmpty()) {
      return String.join(", ", said);
    }
    throw new NotPossible(
        String.join("; ", refused)
            + (said.isEmpty() ? "" : "; the others are converted: " + String.join(", ", said)));
  }

  /** Where a word is trained, kohya's script trains nothing else. */
  private String word(String word) throws NotPossible {
    return draft.put("placeholder_token", word)
        + ", "
        + draft.put("train_unet", false)
        + ", "
        + draft.put("train_text_encoder", false);
  }

  private String ofNewVectors(String key, String value) throws NotPossible {
    return given.containsKey("weights")
        ? "the file of weights has its own vectors, and training goes on from them"
        : draft.put(key, value);
  }

  /** Taken when it is known what trains. */
  private String weightedCaptions(String value) throws NotPossible {
    String stops = draft.get("stop_text_encoder");
    boolean textTrains =
        "true".equals(draft.get("train_text_encoder")) || (stops != null && number(stops) > 0);
    if (value.equalsIgnoreCase("true") && (textTrains || draft.has("placeholder_token"))) {
      throw new NotPossible(
          "brackets weigh words only while what the text encoder says of them stays as it is: take the brackets out of the captions, which are read as they stand"
              + (textTrains
                  ? (stops == null
                      ? ", or set train_text_encoder: false and weighted_captions: true"
                      : ", or set train_text_encoder: false and weighted_captions: true, and remove stop_text_encoder")
                  : ""));
    }
    return draft.put("weighted_captions", value);
  }

  private String scheduler(String name) throws NotPossible {
    return name.startsWith("adafactor")
        ? "Adafactor with relative_step has its own"
        : draft.put("lr_scheduler", name.toLowerCase(Locale.ROOT));
  }

  private String steps(String key, String value) throws NotPossible {
    double number = number(value);
    if (number == 0 || number >= 1) {
      return draft.put(key, (int) number);
    }
    if (given.containsKey("max_train_epochs")) {
      throw new NotPossible(
          "how many steps a part of %s epochs are is not known before the run: set %s in steps"
              .formatted(value("max_train_epochs"), key));
    }
    return draft.put(key, (int) Math.round(number * maxSteps()));
  }

  private int maxSteps() throws NotPossible {
    return given.containsKey("max_train_steps") ? whole(value("max_train_steps")) : DEFAULT_STEPS;
  }

  /**
   * Both halves averaged together are half of what is averaged apart and added, as gradients are.
   */
  private String gradientNorm(String value) throws NotPossible {
    return draft.put("max_grad_norm", hasClassImages ? 2 * number(value) : number(value));
  }

  private String textEncoderRate(String text) throws NotPossible {
    String[] rates = text.split("[ ,]+", -1);
    if (number(rates[0]) == 0) {
      return draft.put("train_text_encoder", false);
    }
    String set =
        draft.put(lora ? "lora_txt_learning_rate" : "text_encoder_learning_rate", rates[0]);
    return rates.length < 2
        ? set
        : set + ", " + draft.put("text_encoder_2_learning_rate", rates[1]);
  }

  private String network(String module) throws NotPossible {
    if (!module.equals("networks.lora") && !module.startsWith("lycoris")) {
      throw new NotPossible(
          "adapters of this kind are not trained: use_lora: true with lora_kind: lora, dora, loha or lokr");
    }
    return draft.put("use_lora", true) + ", " + draft.put("lora_targets", "all-linear");
  }

  private String networkArguments(String text) throws NotPossible {
    return each(text, this::networkArgument);
  }

  private String networkArgument(String name, String value) throws NotPossible {
    return switch (name) {
      case "conv_dim" ->
          draft.put("lora_targets", "convolutions") + ", " + draft.put("lora_conv_rank", value);
      case "dora_wd" ->
          value.equalsIgnoreCase("true") ? draft.put("lora_kind", "dora") : "it is off";
      case "algo" ->
          draft.put("lora_kind", value.equals("locon") ? "lora" : value.toLowerCase(Locale.ROOT));
      case "dropout" -> draft.put("lora_dropout", value);
      case "factor" ->
          number(value) > 0 ? draft.put("lora_factor", whole(value)) : "left to the layer";
      case "conv_alpha" ->
          throw new NotPossible("lora_alpha holds for all adapters: set lora_conv_rank to fit");
      default -> throw new NotPossible("all adapters of a kind have one rank: remove it");
    };
  }

  private String stopTextEncoder(String text) throws NotPossible {
    int step = Math.max(0, whole(text)); // below 0 it never trains, either
    if (step > 0 && given.containsKey("max_train_epochs")) {
      throw new NotPossible("set stop_text_encoder to the part of the run, from 0 to 1");
    }
    return draft.put("stop_text_encoder", Math.min(1.0, (double) step / maxSteps()));
  }

  private String saveRatio(String parts) throws NotPossible {
    if (!given.containsKey("max_train_epochs") || whole(parts) < 1) {
      throw new NotPossible("set save_embedding_every to a number of epochs");
    }
    int every = Math.max(1, whole(value("max_train_epochs")) / whole(parts));
    return draft.put("save_embedding_every", every);
  }

  private String keptSteps(String steps) throws NotPossible {
    String every = value("save_every_n_steps");
    return draft.put(
        "checkpoints_total_limit",
        Math.max(1, whole(steps) / Math.max(1, every.isEmpty() ? 1 : whole(every))));
  }

  private String samplePrompts(String file) throws NotPossible {
    if (!file.endsWith(".txt")) {
      throw new NotPossible("only text files are read: write a prompt a line into a .txt file");
    }
    String set = draft.put("sample_prompts", draft.path(file));
    return set + ", " + draft.put("n_save_sample", 0) + ", as no others are drawn there";
  }

  private void addDefaults() {
    String theirs = "the default of kohya's scripts";
    if (given.containsKey("max_train_epochs")) {
      draft.remove("max_train_steps"); // epochs win there too
    } else {
      draft.add("max_train_steps", DEFAULT_STEPS, theirs);
    }
    if (!draft.has("lora_learning_rate")) {
      draft.add("learning_rate", "2e-6", theirs);
    }
    draft.add("lr_scheduler", "constant", theirs);
    draft.add("caption_extension", ".caption", theirs);
    draft.add("multiline_captions", "first", "there, the first line of a caption file is read");
    if (draft.has("shuffle_tags") || draft.has("caption_tag_dropout_rate")) {
      draft.add("keep_tokens", 0, theirs);
    }
    if (hasClassImages) {
      draft.add("prior_loss_weight", 1, theirs);
      draft.add("max_grad_norm", 2, "twice the default there, as the loss is");
    }
    if (!draft.has("validation_steps") && !draft.has("save_preview_every")) {
      draft.add("validation_steps", 0, "samples are drawn at the end alone");
    }
    if (lora) {
      draft.add("use_lora", true, "train_network.py trains LoRA");
      draft.add("lora_targets", "all-linear", theirs);
      draft.add("lora_alpha", 1, theirs);
      if (draft.has("lora_learning_rate") && !draft.has("lora_txt_learning_rate")) {
        String rate = value("learning_rate");
        draft.add("lora_txt_learning_rate", rate.isEmpty() ? "2e-6" : rate, "as learning_rate");
      }
    } else if (value("pretrained_model_name_or_path").matches(".*\\.(safetensors|ckpt)")) {
      draft.add("save_model_as", "safetensors", "there, as the base model");
    }
    addTextEncoder();
    addSquare();
    OptimizerSettings.addDefaults(draft);
    OptimizerSettings.check(draft);
  }

  private void addTextEncoder() {
    boolean onlyIfAsked = script.matches("sdxl_train.py|fine_tune.py");
    if (!draft.has("stop_text_encoder") && !draft.has("placeholder_token")) {
      draft.add("train_text_encoder", !onlyIfAsked, "the default of kohya's script");
    }
    if ("false".equals(draft.get("train_text_encoder"))) {
      Arrays.asList("lora_txt_learning_rate", "text_encoder_learning_rate").forEach(draft::remove);
    }
  }

  private void addSquare() {
    String side = draft.get("resolution");
    if (!on("enable_bucket") && side != null) {
      String why = "without enable_bucket all pictures are cropped to one square";
      draft.add("buckets", "kohya", why);
      draft.add("min_bucket_reso", side, why);
      draft.add("max_bucket_reso", side, why);
      draft.add("bucket_reso_steps", 8, why);
    }
  }
}
