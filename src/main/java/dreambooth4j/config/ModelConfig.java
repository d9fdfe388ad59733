package dreambooth4j.config;

import dreambooth4j.Problem;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The base model.
 *
 * @param pretrainedModelNameOrPath an absolute path, or a name to look up in the Hugging Face cache
 * @param modelConfig of a single file, a folder with its configurations; null for the published
 * @param predictionType of a single file, what its UNet predicts; null for what is usual
 * @param variant which weight files of a folder are read ("fp16" for {@code *.fp16.safetensors})
 * @param clipSkip 1 takes the text encoder's last layer, n the n-th from the end
 * @param maxTokenLength tokens of a prompt that are read, one of {@link #TOKEN_LENGTHS}
 * @param masksPadding whether training hides a prompt's padding from the text encoder
 */
public record ModelConfig(
    @Nullable String pretrainedModelNameOrPath,
    @Nullable Path modelConfig,
    @Nullable String predictionType,
    @Nullable String variant,
    int clipSkip,
    int maxTokenLength,
    boolean masksPadding) {
  /** Tokens of a prompt that a text encoder reads at once, begin and end not counted. */
  public static final int WINDOW = 75;

  /** How many tokens of a prompt can be read: one, two or three windows of the text encoder. */
  public static final List<Integer> TOKEN_LENGTHS = List.of(WINDOW, 2 * WINDOW, 3 * WINDOW);

  static final Section<ModelConfig> KEYS = new Section<>(Key.Group.MODEL);

  static final Key<ModelConfig, String> PRETRAINED_MODEL =
      KEYS.key(
              "pretrained_model_name_or_path",
              ValueType.pathOrName(),
              ModelConfig::pretrainedModelNameOrPath)
          .help(
              "Base model that the training starts from: a single .safetensors or .ckpt file, a"
                  + " folder in the diffusers layout, or a name that is looked up in this machine's"
                  + " Hugging Face cache. Required; nothing is downloaded.");
  static final Key<ModelConfig, Path> MODEL_CONFIG =
      KEYS.key("model_config", ValueType.path(), ModelConfig::modelConfig)
          .otherwise("what all published models of its kind have")
          .help(
              "Diffusers folder that supplies the configuration and the tokenizer (not the weights)"
                  + " of a base model in a single file whose layer sizes are not those of Stable"
                  + " Diffusion 1, 2 or SDXL.");
  static final Key<ModelConfig, String> PREDICTION_TYPE =
      KEYS.key(
              "prediction_type",
              ValueType.oneOf(List.of("epsilon", "v_prediction"), (text, folder) -> text),
              ModelConfig::predictionType)
          .otherwise("what the file says, else v_prediction of SD 2 and epsilon of all others")
          .help(
              "What the UNet of a base model in a single file predicts: epsilon (the noise) or"
                  + " v_prediction; the weights alone do not tell. Set epsilon for Stable Diffusion"
                  + " 2 base (512 pixels); for a fine-tune see its model card. Not for a diffusers"
                  + " folder, whose configuration has it.");
  static final Key<ModelConfig, String> VARIANT =
      KEYS.key("variant", ValueType.text(), ModelConfig::variant)
          .otherwise("the files without a variant")
          .help(
              "Read the weight files of this variant of the base model: fp16 reads"
                  + " *.fp16.safetensors. Set it for a folder that holds only such files.");
  static final Key<ModelConfig, Integer> CLIP_SKIP =
      KEYS.key("clip_skip", ValueType.whole(1, 12), ModelConfig::clipSkip)
          .standard(1)
          .help(
              "Text encoder layer whose output conditions the UNet, counted from the end: 1 is the"
                  + " last layer, or for SDXL the second to last, which all SDXL models use. Set it"
                  + " to what the base model was trained with; many anime models of Stable"
                  + " Diffusion 1 use 2.");
  static final Key<ModelConfig, Integer> MAX_TOKEN_LENGTH =
      KEYS.key(
              "max_token_length",
              ValueType.oneOf(TOKEN_LENGTHS, (text, folder) -> text),
              ModelConfig::maxTokenLength)
          .standard(WINDOW)
          .unit("tokens")
          .help(
              "Maximum length of a prompt in tokens; what is longer is cut off. 75 tokens are about"
                  + " 50 words; 150 and 225 allow two and three times as many, as in kohya's"
                  + " scripts.");

  static final Key<ModelConfig, Boolean> USE_ATTENTION_MASK =
      KEYS.key("text_encoder_use_attention_mask", ValueType.flag(), ModelConfig::masksPadding)
          .standard(false)
          .help(
              "Mask the padding after a prompt in the text encoder during training, like diffusers'"
                  + " flag of this name. Stable Diffusion was trained without this mask and images"
                  + " are generated without it, so false is usually better.");

  static ModelConfig of(Values run) {
    int length = run.get(MAX_TOKEN_LENGTH);
    if (length > WINDOW && run.isExtensions(MAX_TOKEN_LENGTH)) {
      run.remark("max_token_length: %d works here, the extension reads 75".formatted(length));
    }
    return new ModelConfig(
        run.orNull(PRETRAINED_MODEL),
        run.orNull(MODEL_CONFIG),
        run.orNull(PREDICTION_TYPE),
        run.orNull(VARIANT),
        run.get(CLIP_SKIP),
        length,
        run.get(USE_ATTENTION_MASK));
  }

  /**
   * The base model's path or name.
   *
   * @throws Problem if none is configured
   */
  public String required() {
    if (pretrainedModelNameOrPath == null) {
      throw Problem.usage(
          "pretrained_model_name_or_path is missing: give the file or the folder of a base model"
              + " (weights/README.md says where to get one)");
    }
    return pretrainedModelNameOrPath;
  }
}
