package dreambooth4j.pipeline;

import dreambooth4j.Problem;
import dreambooth4j.config.ConfigReader;
import dreambooth4j.config.ModelConfig;
import java.nio.file.Path;

/**
 * How a text encoder is used: with its weights and the prompt, all that decides a prompt's hidden
 * states.
 *
 * @param clipSkip 1 takes the last layer, k the k-th from the last
 * @param maxTokenLength tokens of a prompt that are read, one of {@link ModelConfig#TOKEN_LENGTHS}:
 *     75 is what the text encoder reads at once, the others two and three times that
 */
public record TextEncoding(int clipSkip, int maxTokenLength) {
  /** As diffusers uses it. */
  public static final TextEncoding USUAL = new TextEncoding(1, ModelConfig.WINDOW);

  /** Checks that it is an allowed length. */
  public TextEncoding {
    if (!ModelConfig.TOKEN_LENGTHS.contains(maxTokenLength)) {
      throw Problem.usage(
          "max_token_length is %d, allowed is one of %s"
              .formatted(maxTokenLength, ModelConfig.TOKEN_LENGTHS));
    }
  }

  /** As a run is configured. */
  public static TextEncoding of(ModelConfig model) {
    return new TextEncoding(model.clipSkip(), model.maxTokenLength());
  }

  /** As the model in this folder was trained, as far as the folder says. */
  public static TextEncoding ofTrained(Path model) {
    ModelConfig trained = ConfigReader.ofTrained(model);
    return trained == null ? USUAL : of(trained);
  }

  /** How many times the text encoder reads: windows of a prompt. */
  public int windows() {
    return maxTokenLength / ModelConfig.WINDOW;
  }
}
