package dreambooth4j.config;

import dreambooth4j.Problem;
import org.jspecify.annotations.Nullable;

/**
 * The base model.
 *
 * @param pretrainedModelNameOrPath an absolute path, or a name to look up in the Hugging Face cache
 * @param variant which weight files of a folder are read ("fp16" for {@code *.fp16.safetensors})
 * @param clipSkip 1 takes the text encoder's last layer, n the n-th from the end
 * @param maxTokenLength tokens of a prompt that are read, one of {@link Keys#TOKEN_LENGTHS}
 */
public record ModelConfig(
    @Nullable String pretrainedModelNameOrPath,
    @Nullable String variant,
    int clipSkip,
    int maxTokenLength) {
  /** Tokens of a prompt that a text encoder reads at once, begin and end not counted. */
  public static final int WINDOW = 75;

  /**
   * The base model's path or name.
   *
   * @throws Problem if none is configured
   */
  public String required() {
    if (pretrainedModelNameOrPath == null) {
      throw Problem.usage(
          "pretrained_model_name_or_path is missing: give the folder of a base model"
              + " (weights/README.md says where to get one)");
    }
    return pretrainedModelNameOrPath;
  }
}
