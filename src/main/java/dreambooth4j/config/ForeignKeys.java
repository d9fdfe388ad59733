package dreambooth4j.config;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Keys of sd_dreambooth_extension and of diffusers that do nothing here. Most are about how their
 * trainers save memory or where their interface stands: they are read, named once and left alone. A
 * value that asks for other trained weights than ours would be is refused instead.
 */
public final class ForeignKeys {
  private static final Pattern ADAMW =
      Pattern.compile("(torch |paged |8-?bit |paged 8-?bit )?adamw( ?8-?bit)?");

  /**
   * What becomes of one key.
   *
   * @param refused the values that are refused
   * @param advice what to do about a refused one
   * @param noted the values that are worth a remark
   * @param remark what is done instead
   */
  private record Rule(
      Predicate<String> refused, String advice, Predicate<String> noted, String remark) {}

  /** Those that diffusers' scripts take without a value. */
  private static final Set<String> SWITCHES =
      Set.of(
          "gradient_checkpointing",
          "use_8bit_adam",
          "enable_xformers_memory_efficient_attention",
          "set_grads_to_none",
          "pre_compute_text_embeddings",
          "text_encoder_use_attention_mask",
          "skip_save_text_encoder",
          "push_to_hub",
          "allow_tf32",
          "scale_lr",
          "center_crop");

  private static final Map<String, Rule> RULES = new HashMap<>();

  static {
    // How the extension's and diffusers' own code uses memory, devices and disks.
    ignore("attention", "gradient_checkpointing", "gradient_set_to_none");
    ignore("set_grads_to_none", "enable_xformers_memory_efficient_attention", "allow_tf32");
    ignore("dataloader_num_workers", "local_rank", "pre_compute_text_embeddings", "use_cpu");
    ignore("tf32_enable", "not_cache_latents", "deterministic");
    // Where its interface stands, what it has counted and named.
    ignore("epoch", "revision", "initial_revision", "lifetime_revision", "total_steps", "is_valid");
    ignore("epoch_pause_frequency", "epoch_pause_time", "graph_smoothing", "disable_logging");
    ignore("model_name", "model_dir", "model_path", "src", "v2", "has_ema", "custom_model_name");
    ignore("shared_diffusers_path", "use_shared_src", "use_subdir", "half_model", "snapshot");
    ignore("sanity_prompt", "sanity_seed", "save_sample_template", "file_prompt_contents");
    ignore("save_class_txt", "save_use_global_counts", "save_use_epochs", "max_steps");
    // What is saved: here always a diffusers folder in safetensors.
    ignore("save_ckpt_after", "save_ckpt_cancel", "save_ckpt_during", "save_ema");
    ignore("save_lora_after", "save_lora_cancel", "save_lora_during", "save_lora_for_extra_net");
    ignore("save_state_cancel", "save_state_during", "save_safetensors");
    ignore("skip_save_text_encoder", "push_to_hub", "hub_token", "hub_model_id", "logging_dir");
    ignore("report_to", "validation_images", "prior_generation_precision", "validation_epochs");
    // Parts of features that are off unless another key, refused below, turns them on.
    ignore("lora_learning_rate", "lora_model_name", "lora_txt_learning_rate", "lora_txt_rank");
    ignore("lora_unet_rank", "lora_weight", "lora_txt_weight", "lora_use_buggy_requires_grad");
    ignore("use_lora_extended", "lora_rank", "half_lora", "rank", "lora_dropout");
    ignore("dream_detail_preservation");
    // Dead, or without effect on the weights, in the extension itself.
    ignore("ema_predict", "input_pertubation", "train_unfrozen", "txt_learning_rate");
    ignore("tenc_weight_decay", "tenc_grad_clip_norm", "freeze_clip_normalization");
    ignore("noise_scheduler", "learning_rate_min", "lr_factor", "lr_scale_pos");

    remark("mixed_precision", value -> !value.matches("no|fp32|"), "float32 is used");
    remark("full_mixed_precision", ForeignKeys::on, "float32 is used");
    remark("use_8bit_adam", ForeignKeys::on, "AdamW with 32-bit states is used");
    RULES.put(
        "optimizer",
        new Rule(
            value -> !value.isEmpty() && !ADAMW.matcher(value).matches(),
            "the optimizer is AdamW: remove the key and choose learning_rate for AdamW",
            value -> !value.matches("(torch )?adamw|"),
            "AdamW with 32-bit states is used"));

    refuse("use_lora", ForeignKeys::on, "all weights are trained: set it to false");
    refuse("use_dream", ForeignKeys::on, "the plain objective is trained: set it to false");
    refuse("freeze_spectral_norm", ForeignKeys::on, "set it to false");
    refuse("train_imagic", ForeignKeys::on, "set it to false");
    refuse("dynamic_img_norm", ForeignKeys::on, "pictures are scaled to -1..1: set it to false");
    refuse("strict_tokens", ForeignKeys::on, "prompts are encoded whole: set it to false");
    refuse("pad_tokens", ForeignKeys::off, "prompts are always padded: set it to true");
    refuse("train_unet", ForeignKeys::off, "the UNet is always trained: set it to true");
    refuse(
        "split_loss", ForeignKeys::off, "the two losses are always averaged apart: set it to true");
    refuse("tomesd", value -> !value.matches("0+(\\.0*)?|"), "no tokens are merged: set it to 0");
    refuse(
        "infer_ema", ForeignKeys::on, "the trained weights themselves are used: set it to false");
    refuse("use_ema", ForeignKeys::on, "no average of the weights is kept: set it to false");
    refuse("center_crop", ForeignKeys::off, "say crop: random for a place drawn each time");
    refuse("scale_lr", ForeignKeys::on, "set it to false and give the learning_rate itself");
    refuse(
        "zero_terminal_snr",
        ForeignKeys::on,
        "the model's own noise schedule is used: set it to false");
    refuse(
        "pretrained_vae_name_or_path",
        ForeignKeys::set,
        "put the VAE into the base model's folder");
    refuse("tokenizer_name", ForeignKeys::set, "put the tokenizer into the base model's folder");
    refuse("text_encoder_use_attention_mask", ForeignKeys::on, "set it to false");
    refuse("class_labels_conditioning", ForeignKeys::set, "remove it");
    refuse("model_type", value -> value.equals("sdxl"), "Stable Diffusion 1 and 2 are trained");
    refuse(
        "tokenizer_max_length",
        value -> !value.matches("77|"),
        "remove it, and set max_token_length to 150 or 225 for long captions");
  }

  /** What the file or the flags hold of these keys. */
  private final List<String> unused = new ArrayList<>();

  private final List<String> remarks = new ArrayList<>();

  static boolean contains(String key) {
    return RULES.containsKey(key);
  }

  /** All of them. */
  public static Collection<String> names() {
    return Collections.unmodifiableSet(RULES.keySet());
  }

  /** Whether the bare flag, without a value, is how diffusers takes this key. */
  public static boolean isSwitch(String key) {
    return SWITCHES.contains(key);
  }

  /**
   * Takes note of a key.
   *
   * @param value its text; empty if it has none or is a list
   * @param extension whether it stands in a db_config.json
   * @return why it is refused, or null if it is not
   */
  @Nullable String take(String key, String value, boolean extension) {
    Rule rule = RULES.get(key);
    if (rule == null) {
      throw new IllegalArgumentException(key);
    }
    String plain = value.toLowerCase(Locale.ROOT);
    boolean harmless = extension && hasNoEffectInTheExtension(key);
    if (rule.refused.test(plain) && !harmless) {
      return "%s is not done here; %s".formatted(value, rule.advice);
    }
    if (rule.noted.test(plain)) {
      remarks.add("%s: %s, but %s".formatted(key, value, rule.remark));
    } else if (!unused.contains(key)) {
      unused.add(key);
    }
    return null;
  }

  /** Keys without effect or remark, in the order they were met. */
  List<String> unused() {
    return List.copyOf(unused);
  }

  /** One line for each key that asks for something else than what is done. */
  List<String> remarks() {
    return List.copyOf(remarks);
  }

  // There, the average is kept beside the weights and used only with infer_ema.
  private static boolean hasNoEffectInTheExtension(String key) {
    return key.equals("use_ema");
  }

  private static boolean never(String value) {
    return false;
  }

  private static boolean on(String value) {
    return value.equals("true");
  }

  private static boolean off(String value) {
    return value.equals("false");
  }

  private static boolean set(String value) {
    return !value.isEmpty();
  }

  private static void ignore(String... keys) {
    for (String key : keys) {
      RULES.put(key, new Rule(ForeignKeys::never, "", ForeignKeys::never, ""));
    }
  }

  private static void remark(String key, Predicate<String> noted, String remark) {
    RULES.put(key, new Rule(ForeignKeys::never, "", noted, remark));
  }

  private static void refuse(String key, Predicate<String> refused, String advice) {
    RULES.put(key, new Rule(refused, advice, ForeignKeys::never, ""));
  }
}
