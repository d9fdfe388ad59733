package dreambooth4j.pipeline;

import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.config.ModelConfig;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.ModelSource;
import dreambooth4j.weights.TensorSource;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * How a text encoder is used: with its weights and the prompt, all that decides a prompt's hidden
 * states.
 *
 * @param clipSkip 1 takes the last layer, k the k-th from the last
 * @param maxTokenLength tokens of a prompt that are read, one of {@link ModelConfig#TOKEN_LENGTHS}:
 *     75 is what the text encoder reads at once, the others two and three times that
 * @param weighted whether brackets weigh the words between them, as {@link WeightedPrompt} has it
 * @param masked whether padding behind a prompt is hidden from its tokens and from itself
 */
public record TextEncoding(int clipSkip, int maxTokenLength, boolean weighted, boolean masked) {
  /** As diffusers uses it. */
  public static final TextEncoding USUAL = new TextEncoding(1, ModelConfig.WINDOW);

  private static final String CLIP_SKIP = "ss_clip_skip";
  private static final String LENGTH = "ss_max_token_length";

  /** Checks that it is an allowed length. */
  public TextEncoding {
    if (!ModelConfig.TOKEN_LENGTHS.contains(maxTokenLength)) {
      throw Problem.usage(
          "max_token_length is %d, allowed is one of %s"
              .formatted(maxTokenLength, ModelConfig.TOKEN_LENGTHS));
    }
  }

  /** With brackets that are read as they stand. */
  public TextEncoding(int clipSkip, int maxTokenLength) {
    this(clipSkip, maxTokenLength, false, false);
  }

  /** The same with brackets that weigh words, or without. */
  public TextEncoding weighted(boolean weighs) {
    return new TextEncoding(clipSkip, maxTokenLength, weighs, masked);
  }

  /** The text of a prompt that is read, without what only weighs it. */
  public String words(String prompt) {
    return weighted ? WeightedPrompt.parse(prompt).plain() : prompt;
  }

  /** A text as a prompt that is read as it stands. */
  public String literally(String text) {
    return weighted ? WeightedPrompt.escaped(text) : text;
  }

  /** As a run is configured. */
  public static TextEncoding of(ModelConfig model) {
    return new TextEncoding(model.clipSkip(), model.maxTokenLength());
  }

  /** As the captions of a run are read where they are drawn, in class images. */
  public static TextEncoding ofCaptionsDrawn(Config config) {
    return of(config.model()).weighted(config.data().captions().weighted());
  }

  /**
   * As the captions of a run are read in training: there alone padding may be masked, as in
   * diffusers, whose pipeline draws without a mask.
   */
  public static TextEncoding ofCaptions(Config config) {
    TextEncoding drawn = ofCaptionsDrawn(config);
    return new TextEncoding(
        drawn.clipSkip, drawn.maxTokenLength, drawn.weighted, config.model().masksPadding());
  }

  /** What to write into a model's weights, for {@link #ofTrained}: kohya's names for it. */
  public Map<String, String> notes() {
    return Map.of(CLIP_SKIP, Integer.toString(clipSkip), LENGTH, Integer.toString(maxTokenLength));
  }

  /** As a model was trained, as far as its weights say; they are not trusted. */
  public static TextEncoding ofTrained(ModelSource model) {
    try (TensorSource weights = model.weights(Component.UNET)) {
      int skip = number(weights.metadata().get(CLIP_SKIP), USUAL.clipSkip);
      int length = number(weights.metadata().get(LENGTH), USUAL.maxTokenLength);
      return new TextEncoding(
          Math.max(1, skip),
          ModelConfig.TOKEN_LENGTHS.contains(length) ? length : USUAL.maxTokenLength);
    }
  }

  private static int number(@Nullable String text, int otherwise) {
    return text != null && text.matches("\\d{1,4}") ? Integer.parseInt(text) : otherwise;
  }

  /** How many times the text encoder reads: windows of a prompt. */
  public int windows() {
    return maxTokenLength / ModelConfig.WINDOW;
  }
}
