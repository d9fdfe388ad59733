package dreambooth4j.weights;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** A part of a diffusers folder, in a sub-folder of its own. */
public enum Component {
  /** The denoiser, {@code UNet2DConditionModel}. */
  UNET("unet", "diffusion_pytorch_model", "config.json"),
  /** Pictures to latents and back, {@code AutoencoderKL}. */
  VAE("vae", "diffusion_pytorch_model", "config.json"),
  /** {@code CLIPTextModel}. */
  TEXT_ENCODER("text_encoder", "model", "config.json"),
  /** SDXL's second one, {@code CLIPTextModelWithProjection}. */
  TEXT_ENCODER_2("text_encoder_2", TEXT_ENCODER),
  /** {@code CLIPTokenizer}, of either generation. */
  TOKENIZER(
      "tokenizer",
      null,
      "tokenizer_config.json",
      "tokenizer.json",
      "vocab.json",
      "merges.txt",
      "special_tokens_map.json",
      "added_tokens.json"),
  /** The one that SDXL's second text encoder is given the tokens of. */
  TOKENIZER_2("tokenizer_2", TOKENIZER),
  /** How noise is added and taken away. */
  SCHEDULER("scheduler", null, "scheduler_config.json"),
  /** Carried along, never used. */
  FEATURE_EXTRACTOR("feature_extractor", null, "preprocessor_config.json"),
  /** Carried along, never used. */
  SAFETY_CHECKER("safety_checker", "model", "config.json");

  private final String folder;
  private final @Nullable String stem;

  @SuppressWarnings("ImmutableEnumChecker") // made by List.of
  private final List<String> files;

  Component(String folder, @Nullable String stem, String... files) {
    this(folder, stem, List.of(files));
  }

  /** The files of another one, in a folder of its own. */
  Component(String folder, Component like) {
    this(folder, like.stem, like.files);
  }

  Component(String folder, @Nullable String stem, List<String> files) {
    this.folder = folder;
    this.stem = stem;
    this.files = files;
  }

  /** Its key in {@code model_index.json} and the name of its folder. */
  public String folder() {
    return folder;
  }

  /** Whether it reads prompts. */
  public boolean isTextEncoder() {
    return this == TEXT_ENCODER || this == TEXT_ENCODER_2;
  }

  /** Of a text encoder, where its tokenizer lies. */
  public Component tokenizer() {
    return switch (this) {
      case TEXT_ENCODER -> TOKENIZER;
      case TEXT_ENCODER_2 -> TOKENIZER_2;
      default -> throw new IllegalArgumentException(this + " reads no text");
    };
  }

  /** The file that configures it. */
  public String configFile() {
    return files.get(0);
  }

  /** All files that it may have beside its weights. */
  List<String> files() {
    return files;
  }

  /** Whether it has weights. */
  boolean hasWeights() {
    return stem != null;
  }

  /** The file of its weights. */
  String weightsFile(@Nullable String variant) {
    return variant == null ? stem + ".safetensors" : stem + "." + variant + ".safetensors";
  }

  /** The index of its weights, where they are in several files. */
  String indexFile(@Nullable String variant) {
    return variant == null
        ? stem + ".safetensors.index.json"
        : stem + ".safetensors.index." + variant + ".json";
  }
}
