package dreambooth4j.config;

import dreambooth4j.Printable;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Keys of kohya's sd-scripts that have another name here, or no counterpart. They are not read, but
 * whoever gives one is told what to say instead.
 */
public final class KohyaKeys {
  private static final Pattern SECTION = Pattern.compile("\\[{1,2}[\\w.\\- ]+]{1,2}(\\s*#.*)?");
  private static final Pattern ASSIGNMENT = Pattern.compile("\\s*([A-Za-z_]\\w*)\\s*=.*");

  /** Keys of a TOML file beyond so many are counted, not shown. */
  private static final int MOST_SHOWN = 40;

  /** The name here of a key that does the same. */
  private static final Map<String, String> NAMES_HERE = new TreeMap<>();

  /** What to know of a key that has no such name. */
  private static final Map<String, String> OTHERS = new TreeMap<>();

  static {
    NAMES_HERE.put("train_data_dir", "instance_data_dir");
    NAMES_HERE.put("image_dir", "instance_data_dir");
    NAMES_HERE.put("reg_data_dir", "class_data_dir");
    NAMES_HERE.put("max_train_epochs", "num_train_epochs");
    NAMES_HERE.put("batch_size", "train_batch_size");
    NAMES_HERE.put("optimizer_type", "optimizer");
    NAMES_HERE.put("network_dim", "lora_rank");
    NAMES_HERE.put("network_alpha", "lora_alpha");
    NAMES_HERE.put("network_weights", "lora_weights");
    NAMES_HERE.put("unet_lr", "lora_learning_rate");
    NAMES_HERE.put("text_encoder_lr", "text_encoder_learning_rate");
    NAMES_HERE.put("learning_rate_te", "text_encoder_learning_rate");
    NAMES_HERE.put("learning_rate_te1", "text_encoder_learning_rate");
    NAMES_HERE.put("learning_rate_te2", "text_encoder_2_learning_rate");
    NAMES_HERE.put("lr_scheduler_num_cycles", "lr_num_cycles");
    NAMES_HERE.put("lr_scheduler_power", "lr_power");
    NAMES_HERE.put("save_every_n_steps", "save_model_every");
    NAMES_HERE.put("save_every_n_epochs", "save_embedding_every");
    NAMES_HERE.put("save_last_n_steps", "checkpoints_total_limit");
    NAMES_HERE.put("save_last_n_epochs", "checkpoints_total_limit");
    NAMES_HERE.put("save_state", "save_state_after");
    NAMES_HERE.put("save_state_on_train_end", "save_state_after");
    NAMES_HERE.put("resume", "resume_from_checkpoint");
    NAMES_HERE.put("sample_every_n_steps", "validation_steps");
    NAMES_HERE.put("sample_every_n_epochs", "save_preview_every");
    NAMES_HERE.put("sample_sampler", "scheduler");
    NAMES_HERE.put("shuffle_caption", "shuffle_tags");
    NAMES_HERE.put("flip_aug", "hflip");
    NAMES_HERE.put("noise_offset", "offset_noise");
    NAMES_HERE.put("cache_latents_to_disk", "cache_latents");

    other(
        "kohya's TOML files cannot be imported yet, and a YAML file is given without a flag: train"
            + " config.yaml",
        "config_file");
    other(
        "kohya's TOML files cannot be imported yet: give the folders of pictures as"
            + " instance_data_dir, or several of them as concepts_list in a YAML file",
        "dataset_config");
    other(
        "use_lora: true trains LoRA, and lora_targets: all-linear the layers of networks.lora",
        "network_module");
    other("conv_dim is lora_conv_rank here, with lora_targets: convolutions", "network_args");
    other("train_text_encoder says whether the text encoder trains too", "network_train_unet_only");
    other(
        "it has no counterpart in LoRA here: remove this key",
        "network_train_text_encoder_only",
        "network_dropout",
        "scale_weight_norms");
    other("use instance_token and class_token", "class_tokens");
    other("the folder N_token class of kohya's layout says it by its name", "num_repeats");
    other("crop: random does the same", "random_crop");
    other("crop: 0.5,0.2 names the point of a picture to keep", "face_crop_aug_range");
    other("buckets: kohya takes kohya's picture sizes", "enable_bucket");
    other("save_sample_prompt and validation_prompt are the prompts of samples", "sample_prompts");
    other("output_dir names the trained model's folder", "output_name");
    other("put the VAE into the base model's folder", "vae");
    other(
        "stop_text_encoder says for which part of the run, from 0 to 1, the text encoder trains",
        "stop_text_encoder_training");
    other(
        "how memory and threads are used is chosen by itself: remove this key",
        "xformers",
        "sdpa",
        "mem_eff_attn",
        "lowram",
        "highvram",
        "vae_batch_size",
        "max_data_loader_n_workers",
        "persistent_data_loader_workers");
    other(
        "it has no counterpart here: remove this key",
        "caption_dropout_every_n_epochs",
        "color_aug",
        "log_prefix",
        "log_with",
        "no_metadata",
        "token_warmup_min",
        "token_warmup_step",
        "training_comment",
        "wandb_run_name",
        "weighted_captions");
  }

  private KohyaKeys() {}

  private static void other(String hint, String... names) {
    for (String name : names) {
      OTHERS.put(name, hint);
    }
  }

  /** All of them: a command line takes them to be able to say what they are. */
  public static Set<String> names() {
    Set<String> names = new TreeSet<>(NAMES_HERE.keySet());
    names.addAll(OTHERS.keySet());
    return Collections.unmodifiableSet(names);
  }

  static boolean contains(String name) {
    return NAMES_HERE.containsKey(name) || OTHERS.containsKey(name);
  }

  /** The names here of those that have one. */
  static Map<String, String> namesHere() {
    return Collections.unmodifiableMap(NAMES_HERE);
  }

  /** What to say instead of one of these keys. */
  static String hint(String name) {
    String here = NAMES_HERE.get(name);
    return here == null
        ? "this key of kohya's sd-scripts is not read; " + OTHERS.get(name)
        : "kohya's %s is %s here".formatted(name, here);
  }

  /** Whether a file is TOML: by its name, or because it begins as no YAML map does. */
  static boolean isToml(Path file, String text) {
    if (String.valueOf(file.getFileName()).endsWith(".toml")) {
      return true;
    }
    return text.lines()
        .map(String::strip)
        .filter(line -> !line.isEmpty() && !line.startsWith("#"))
        .findFirst()
        .filter(line -> SECTION.matcher(line).matches() || ASSIGNMENT.matcher(line).matches())
        .isPresent();
  }

  /**
   * What to do with a TOML file, with a line for each of its keys.
   *
   * @param known the keys that mean the same here
   */
  static String explainToml(Path file, String text, Set<String> known) {
    Map<String, String> keys = new LinkedHashMap<>();
    for (String line : text.lines().toList()) {
      Matcher assignment = ASSIGNMENT.matcher(line);
      if (assignment.matches()) {
        String name = assignment.group(1);
        keys.putIfAbsent(
            name,
            NAMES_HERE.containsKey(name)
                ? "is " + NAMES_HERE.get(name) + " here"
                : OTHERS.containsKey(name)
                    ? OTHERS.get(name)
                    : known.contains(name) ? "has the same name here" : "is not known here");
      }
    }
    List<String> lines = new ArrayList<>();
    lines.add(
        "%s is TOML, as kohya's sd-scripts take it, and cannot be imported yet: write its keys into a YAML file, as key: value%s"
            .formatted(file, keys.isEmpty() ? "" : ". Its keys:"));
    keys.entrySet().stream()
        .limit(MOST_SHOWN)
        .forEach(
            key -> lines.add("  " + Printable.shortened(key.getKey()) + ": " + key.getValue()));
    if (keys.size() > MOST_SHOWN) {
      lines.add("  and %d more".formatted(keys.size() - MOST_SHOWN));
    }
    return String.join("\n", lines);
  }
}
