package dreambooth4j.config;

import dreambooth4j.config.ForeignKey.Kind;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;

/**
 * Keys of sd_dreambooth_extension and of diffusers that do nothing here. Most are about how their
 * trainers save memory or where their interface stands: they are read, named once and left alone. A
 * value that asks for other trained weights than ours would be is refused instead.
 */
public final class ForeignKeys {
  private static final ForeignKey WITHOUT_EFFECT_THERE =
      ignored("it does not change the weights in the extension either");

  /** Those that diffusers' scripts take without a value. */
  private static final Set<String> SWITCHES =
      Set.of(
          "enable_xformers_memory_efficient_attention",
          "foreach_ema",
          "offload_ema",
          "set_grads_to_none",
          "pre_compute_text_embeddings",
          "skip_save_text_encoder",
          "push_to_hub",
          "scale_lr",
          "center_crop");

  private static final Map<String, ForeignKey> KEYS = new HashMap<>();

  static {
    put(
        ignored(
            "how those trainers use memory, devices and disks, which does not change the weights"),
        "attention=xformers",
        "gradient_set_to_none=true",
        "set_grads_to_none",
        "enable_xformers_memory_efficient_attention",
        "dataloader_num_workers",
        "foreach_ema",
        "local_rank",
        "offload_ema",
        "pre_compute_text_embeddings",
        "use_cpu",
        "not_cache_latents");
    put(ignored("a run repeats bit for bit here whatever its value"), "deterministic=false");
    put(
        ignored("a name, a count or a display of the extension's own"),
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
    put(
        ignored("pauses of the extension, in which nothing is computed"),
        "epoch_pause_frequency=0",
        "epoch_pause_time=0");
    put(ignored("the base model's own files say which version it is"), "v2");
    put(
        ignored(
            "samples of other trainers; here save_sample_prompt and validation_prompt draw them"),
        "sanity_prompt=",
        "sanity_seed=420420",
        "save_sample_template=",
        "validation_images");
    put(
        ignored(
            "what is saved and where; here save_model_as and lora_files say it, always in"
                + " safetensors, and checkpoints"),
        "save_ckpt_after=true",
        "save_ckpt_cancel=false",
        "save_ckpt_during=true",
        "save_ema=true",
        "save_lora_after",
        "save_lora_cancel",
        "save_lora_during",
        "save_lora_for_extra_net",
        "save_state_cancel=false",
        "save_state_during=false",
        "save_safetensors",
        "skip_save_text_encoder",
        "push_to_hub",
        "hub_token",
        "hub_model_id",
        "logging_dir");
    put(
        WITHOUT_EFFECT_THERE,
        "ema_predict=false",
        "input_pertubation=true",
        "train_unfrozen=true",
        "tenc_weight_decay=0.01",
        "tenc_grad_clip_norm=0");
    put(
        ignored(
            "it does not change the weights in the extension either; here"
                + " text_encoder_learning_rate does"),
        "txt_learning_rate=5e-6");
    put(
        ignored(
            "it freezes dropout and batch normalisation in the text encoder, and CLIP's has"
                + " neither"),
        "freeze_clip_normalization=false");
    put(ignored("all of its values add the same noise"), "noise_scheduler=DDPM");
    put(
        ignored(
            "only the extension's cosine_annealing schedulers use it, which are refused; here"
                + " lr_scheduler_min_lr_ratio is the floor of lr_scheduler: cosine"),
        "learning_rate_min");
    put(
        ignored(
            "how the extension's constant and linear schedulers begin; here lr_scheduler:"
                + " piecewise_constant with step_rules does that"),
        "lr_factor",
        "lr_scale_pos");

    putNoted(
        "full_mixed_precision",
        ForeignKeys::on,
        true,
        "master weights stay in float32: set full_bf16: true to train without them");
    putNoted(
        "prior_generation_precision",
        value -> !value.matches("no|fp32|"),
        false,
        "float32 is used");
    putNoted(
        "half_model",
        ForeignKeys::on,
        true,
        "the model is saved in float32 unless save_precision says otherwise");

    putLora();
    refuseOn(
        "freeze_spectral_norm",
        "no layer is normalised spectrally: set it to false; max_grad_norm and a smaller"
            + " learning_rate hold weights back");
    refuseOn("train_imagic", "Imagic is another method of training: set it to false");
    refuseOn(
        "dynamic_img_norm",
        "pictures are scaled to -1..1, as all Stable Diffusion models were trained: set it to"
            + " false");
    refuseOn(
        "strict_tokens",
        "prompts are encoded whole, as they are when pictures are drawn: set it to false");
    refuseOff(
        "pad_tokens",
        "prompts are always padded, as they are when pictures are drawn: set it to true");
    refuse(
        "tomesd",
        ForeignKeys::some,
        "no tokens are merged: set it to 0; gradient_checkpointing and use_8bit_adam save memory"
            + " without changing the pictures");
    refuseOff("center_crop", "say crop: random for a place drawn each time");
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
    refuse(
        "class_labels_conditioning",
        ForeignKeys::set,
        "the UNet is given no class labels: remove it");
    put(ignored("the base model's own configuration says it"), "model_type");
    refuse(
        "tokenizer_max_length",
        value -> !value.matches("77|"),
        "remove it, and set max_token_length to 150 or 225 for long captions");
  }

  private ForeignKeys() {}

  /** Keys of LoRA that {@link LoraConfig} lacks. */
  private static void putLora() {
    put(
        ignored("the weight at which the extension adds a LoRA to the model when it saves it"),
        "lora_weight=0.8",
        "lora_txt_weight");
    put(
        ignored("how the extension finds what trains; here that is all of the adapters"),
        "lora_use_buggy_requires_grad=false");
    putNoted(
        "use_lora_extended",
        ForeignKeys::on,
        true,
        "lora_targets says which layers get an adapter");
    String script =
        "it is a flag of train_dreambooth_lora.py: remove it, and set use_lora: true to train as"
            + " that script does; ";
    refuse(
        "validation_epochs",
        ForeignKeys::set,
        script + "save_preview_every draws samples every so many epochs");
    refuse(
        "image_interpolation_mode",
        ForeignKeys::set,
        script + "pictures are always scaled by Lanczos");
  }

  static boolean contains(String name) {
    return KEYS.containsKey(name);
  }

  /** All of them. */
  public static Collection<String> names() {
    return Collections.unmodifiableSet(KEYS.keySet());
  }

  /** Whether the bare flag, without a value, is how diffusers takes this key. */
  public static boolean isSwitch(String name) {
    return SWITCHES.contains(name);
  }

  /**
   * A key by its name.
   *
   * @param inExtensionsFile whether it stands in a db_config.json: there the revision counts
   *     pictures that were shown
   */
  static ForeignKey get(String name, boolean inExtensionsFile) {
    ForeignKey key =
        inExtensionsFile && name.equals("revision") ? WITHOUT_EFFECT_THERE : KEYS.get(name);
    if (key == null) {
      throw new IllegalArgumentException(name);
    }
    return key;
  }

  private static ForeignKey ignored(String reason) {
    return new ForeignKey(Kind.IGNORED, reason, value -> false, false, null);
  }

  /** Puts keys by their names, each perhaps with the extension's default behind an "=". */
  private static void put(ForeignKey key, String... names) {
    for (String name : names) {
      int equals = name.indexOf('=');
      if (equals < 0) {
        KEYS.put(name, key);
      } else {
        KEYS.put(name.substring(0, equals), key.withDefault(name.substring(equals + 1)));
      }
    }
  }

  private static void putNoted(String name, Predicate<String> asks, boolean flag, String instead) {
    KEYS.put(name, new ForeignKey(Kind.NOTED, instead, asks, flag, null));
  }

  private static void refuseOn(String name, String advice) {
    KEYS.put(name, new ForeignKey(Kind.REFUSED, advice, ForeignKeys::on, true, null));
  }

  private static void refuseOff(String name, String advice) {
    KEYS.put(
        name, new ForeignKey(Kind.REFUSED, advice, value -> value.equals("false"), true, null));
  }

  private static void refuse(String name, Predicate<String> refused, String advice) {
    KEYS.put(name, new ForeignKey(Kind.REFUSED, advice, refused, false, null));
  }

  private static boolean on(String value) {
    return value.equals("true");
  }

  private static boolean set(String value) {
    return !value.isEmpty();
  }

  private static boolean some(String value) {
    return !value.matches("0*(\\.0*)?|false");
  }
}
