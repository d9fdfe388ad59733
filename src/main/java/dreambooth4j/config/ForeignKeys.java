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
import org.jspecify.annotations.Nullable;

/**
 * Keys of sd_dreambooth_extension and of diffusers that do nothing here. Most are about how their
 * trainers save memory or where their interface stands: they are read, named once and left alone. A
 * value that asks for other trained weights than ours would be is refused instead.
 */
public final class ForeignKeys {
  /**
   * What becomes of one key.
   *
   * @param reason why it may be ignored; of those that are refused or noted, empty
   * @param refused the values that are refused
   * @param advice what to do about a refused one
   * @param noted the values that are worth a remark
   * @param remark what is done instead
   * @param flag whether it is on or off and nothing else
   */
  private record Rule(
      String reason,
      Predicate<String> refused,
      String advice,
      Predicate<String> noted,
      String remark,
      boolean flag) {}

  /** Those that diffusers' scripts take without a value. */
  private static final Set<String> SWITCHES =
      Set.of(
          "enable_xformers_memory_efficient_attention",
          "foreach_ema",
          "offload_ema",
          "set_grads_to_none",
          "pre_compute_text_embeddings",
          "text_encoder_use_attention_mask",
          "skip_save_text_encoder",
          "push_to_hub",
          "scale_lr",
          "center_crop");

  private static final Map<String, Rule> RULES = new HashMap<>();

  static {
    ignore(
        "how their programs use memory, devices and disks",
        "attention",
        "gradient_set_to_none",
        "set_grads_to_none",
        "enable_xformers_memory_efficient_attention",
        "dataloader_num_workers",
        "foreach_ema",
        "local_rank",
        "offload_ema",
        "pre_compute_text_embeddings",
        "use_cpu",
        "not_cache_latents");
    ignore("a run repeats bit for bit here whatever it says", "deterministic");
    ignore(
        "what the extension has named, counted or shown",
        "epoch",
        "initial_revision",
        "lifetime_revision",
        "total_steps",
        "is_valid",
        "graph_smoothing",
        "disable_logging",
        "model_name",
        "model_dir",
        "model_path",
        "src",
        "has_ema",
        "custom_model_name",
        "use_shared_src",
        "use_subdir",
        "save_class_txt",
        "save_use_global_counts",
        "save_use_epochs",
        "max_steps");
    ignore("pauses in which nothing is computed", "epoch_pause_frequency", "epoch_pause_time");
    ignore("the base model's own files say what it is", "v2");
    ignore(
        "sample pictures of the extension's own: see save_sample_prompt and validation_prompt",
        "sanity_prompt",
        "sanity_seed",
        "save_sample_template",
        "validation_images",
        "validation_epochs");
    ignore(
        "what is saved: here a diffusers folder in safetensors, and checkpoints",
        "save_ckpt_after",
        "save_ckpt_cancel",
        "save_ckpt_during",
        "save_ema",
        "save_lora_after",
        "save_lora_cancel",
        "save_lora_during",
        "save_lora_for_extra_net",
        "save_state_cancel",
        "save_state_during",
        "save_safetensors",
        "skip_save_text_encoder",
        "push_to_hub",
        "hub_token",
        "hub_model_id",
        "logging_dir",
        "report_to");
    ignore(
        "a part of LoRA, which use_lora alone turns on",
        "lora_learning_rate",
        "lora_model_name",
        "lora_txt_learning_rate",
        "lora_txt_rank",
        "lora_unet_rank",
        "lora_weight",
        "lora_txt_weight",
        "lora_use_buggy_requires_grad",
        "use_lora_extended",
        "lora_rank",
        "half_lora");
    ignore("a part of DREAM, which use_dream alone turns on", "dream_detail_preservation");
    ignore(
        "without effect on the weights in the extension itself",
        "ema_predict",
        "input_pertubation",
        "train_unfrozen",
        "txt_learning_rate",
        "tenc_weight_decay",
        "tenc_grad_clip_norm");
    ignore("CLIP's text encoder has nothing that it would freeze", "freeze_clip_normalization");
    ignore("all of them add the same noise", "noise_scheduler");
    ignore(
        "a part of lr_schedulers that are refused",
        "learning_rate_min",
        "lr_factor",
        "lr_scale_pos");

    remarkOn(
        "full_mixed_precision", "master weights stay in float32: full_bf16 is to do without them");
    remark("prior_generation_precision", value -> !value.matches("no|fp32|"), "float32 is used");
    remarkOn("half_model", "the model is saved in float32");

    refuseOn("use_lora", "all weights are trained: set it to false");
    refuse("rank", ForeignKeys::set, "all weights are trained, without LoRA: remove it");
    refuse("lora_dropout", ForeignKeys::some, "all weights are trained, without LoRA: remove it");
    refuseOn("use_dream", "the plain objective is trained: set it to false");
    refuseOn("freeze_spectral_norm", "set it to false");
    refuseOn("train_imagic", "set it to false");
    refuseOn("dynamic_img_norm", "pictures are scaled to -1..1: set it to false");
    refuseOn("strict_tokens", "prompts are encoded whole: set it to false");
    refuseOff("pad_tokens", "prompts are always padded: set it to true");
    refuseOff("train_unet", "the UNet is always trained: set it to true");
    refuseOff("split_loss", "the two losses are always averaged apart: set it to true");
    refuse("tomesd", ForeignKeys::some, "no tokens are merged: set it to 0");
    refuseOff("center_crop", "say crop: random for a place drawn each time");
    refuseOn("scale_lr", "set it to false and give the learning_rate itself");
    refuseOn("zero_terminal_snr", "the model's own noise schedule is used: set it to false");
    refuse(
        "pretrained_vae_name_or_path",
        ForeignKeys::set,
        "put the VAE into the base model's folder");
    refuse("shared_diffusers_path", ForeignKeys::set, "give it as pretrained_model_name_or_path");
    refuse(
        "snapshot",
        ForeignKeys::set,
        "the extension's snapshots are not read: remove it, or go on from a checkpoint of ours by"
            + " resume_from_checkpoint");
    refuse(
        "revision",
        value -> !value.matches("\\d*|main"),
        "give that revision's folder as pretrained_model_name_or_path");
    refuse(
        "file_prompt_contents",
        value -> !value.matches("|description"),
        "say in instance_prompt and class_prompt what stands around [filewords]");
    refuse("tokenizer_name", ForeignKeys::set, "put the tokenizer into the base model's folder");
    refuseOn("text_encoder_use_attention_mask", "set it to false");
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

  /** What becomes of a key in a db_config.json, and why, in a line. */
  static Fate fate(String key) {
    Rule rule = rule(key);
    if (hasNoEffectInTheExtension(key)) {
      return new Fate("no effect", "without effect on the weights in the extension itself");
    }
    if (!rule.reason.isEmpty()) {
      return new Fate("no effect", rule.reason);
    }
    return rule.advice.isEmpty()
        ? new Fate("noted", rule.remark)
        : new Fate(
            "refused", rule.remark.isEmpty() ? rule.advice : rule.advice + "; " + rule.remark);
  }

  /**
   * What becomes of a key.
   *
   * @param word "works"; "no effect"; "noted": said at the start, where its value asks for
   *     something else than what is done; or "refused", where it asks for other weights
   * @param reason why, or what to do
   */
  record Fate(String word, String reason) {}

  /**
   * Takes note of a key.
   *
   * @param value its text; empty if it has none
   * @param extension whether it stands in a db_config.json
   * @return why it is refused, or null if it is not
   */
  @Nullable String take(String key, String value, boolean extension) {
    Rule rule = rule(key);
    String plain = value.toLowerCase(Locale.ROOT);
    boolean harmless = extension && hasNoEffectInTheExtension(key);
    if (rule.flag && !harmless && !plain.matches("true|false|")) {
      return "found '%s', allowed is %s"
          .formatted(Spelling.shorten(value), ValueType.flag().allowed());
    }
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

  /**
   * Takes note of a key whose value is a list or a map.
   *
   * @param found "a list" or "a map"
   * @return as {@link #take}
   */
  @Nullable String takeNested(String key, String found, boolean extension) {
    Rule rule = rule(key);
    if (rule.reason.isEmpty() && !(extension && hasNoEffectInTheExtension(key))) {
      if (rule.flag) {
        return "found %s, allowed is %s".formatted(found, ValueType.flag().allowed());
      }
      if (!rule.advice.isEmpty()) {
        return "%s is not done here; %s".formatted(found, rule.advice);
      }
    }
    return take(key, "", extension);
  }

  private static Rule rule(String key) {
    Rule rule = RULES.get(key);
    if (rule == null) {
      throw new IllegalArgumentException(key);
    }
    return rule;
  }

  /** Keys without effect or remark, in the order they were met. */
  List<String> unused() {
    return List.copyOf(unused);
  }

  /** One line for each key that asks for something else than what is done. */
  List<String> remarks() {
    return List.copyOf(remarks);
  }

  // There, the revision counts pictures that were shown.
  private static boolean hasNoEffectInTheExtension(String key) {
    return key.equals("revision");
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

  private static boolean some(String value) {
    return !value.matches("0*(\\.0*)?|false");
  }

  private static void ignore(String reason, String... keys) {
    for (String key : keys) {
      RULES.put(key, new Rule(reason, ForeignKeys::never, "", ForeignKeys::never, "", false));
    }
  }

  private static void remark(String key, Predicate<String> noted, String remark) {
    RULES.put(key, new Rule("", ForeignKeys::never, "", noted, remark, false));
  }

  private static void remarkOn(String key, String remark) {
    RULES.put(key, new Rule("", ForeignKeys::never, "", ForeignKeys::on, remark, true));
  }

  private static void refuseOn(String key, String advice) {
    RULES.put(key, new Rule("", ForeignKeys::on, advice, ForeignKeys::never, "", true));
  }

  private static void refuseOff(String key, String advice) {
    RULES.put(key, new Rule("", ForeignKeys::off, advice, ForeignKeys::never, "", true));
  }

  private static void refuse(String key, Predicate<String> refused, String advice) {
    RULES.put(key, new Rule("", refused, advice, ForeignKeys::never, "", false));
  }
}
