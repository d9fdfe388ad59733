package dreambooth4j.config;

import java.util.List;
import java.util.Locale;

/**
 * How captions are read and what becomes of them each time a picture is shown.
 *
 * @param extensions of caption files, with their dots; the first that lies beside a picture counts
 * @param lines what a caption file of several lines means
 * @param shuffleTags put all tags of a prompt but the first in a new order each time it is shown
 * @param keepTokens how many tags at the start of a prompt are neither shuffled nor left out
 * @param tagDropoutRate how often, from 0 to 1, one of the other tags is left out
 * @param dropoutRate how often, from 0 to 1, the whole prompt is left out
 * @param weighted whether brackets weigh the words between them
 */
public record CaptionConfig(
    List<String> extensions,
    Lines lines,
    boolean shuffleTags,
    int keepTokens,
    double tagDropoutRate,
    double dropoutRate,
    boolean weighted) {
  static final Section<CaptionConfig> KEYS = new Section<>(Key.Group.DATA);

  static final Key<CaptionConfig, String> EXTENSIONS =
      KEYS.key(
              "caption_extension",
              ValueType.extensions(),
              captions -> String.join(",", captions.extensions()))
          .standard(".txt,.caption,.cap")
          .help(
              "File name extensions of captions, separated by commas: of the files beside a"
                  + " picture that have its name, the first in this order is its caption.");
  static final Key<CaptionConfig, Lines> LINES =
      KEYS.key("multiline_captions", ValueType.oneOf(Lines.class), CaptionConfig::lines)
          .standard(Lines.JOINED)
          .help(
              "How a caption file with several lines is read: joined makes one caption of all"
                  + " lines, first uses only the first line, drawn uses one line per epoch, in"
                  + " random order, each once before any is repeated.");
  static final Key<CaptionConfig, Boolean> SHUFFLE_TAGS =
      KEYS.key("shuffle_tags", ValueType.flag(), CaptionConfig::shuffleTags)
          .standard(false)
          .extension(true)
          .help(
              "Shuffle the comma-separated tags of a prompt each time its picture is shown; the"
                  + " first keep_tokens tags stay in place. Useful for lists of tags, not for"
                  + " sentences.");
  static final Key<CaptionConfig, Integer> KEEP_TOKENS =
      KEYS.key("keep_tokens", ValueType.whole(0, 1000), CaptionConfig::keepTokens)
          .standard(1)
          .unit("tags")
          .help(
              "Number of tags at the start of a prompt that shuffle_tags and"
                  + " caption_tag_dropout_rate leave unchanged.");
  static final Key<CaptionConfig, Double> TAG_DROPOUT_RATE =
      KEYS.key("caption_tag_dropout_rate", ValueType.number(0, 1), CaptionConfig::tagDropoutRate)
          .standard(0.0)
          .help(
              "Probability, from 0 to 1, with which each tag of a prompt is left out when its"
                  + " picture is shown. The first keep_tokens tags and those that name the subject"
                  + " or its class always stay.");
  static final Key<CaptionConfig, Double> DROPOUT_RATE =
      KEYS.key("caption_dropout_rate", ValueType.number(0, 1), CaptionConfig::dropoutRate)
          .standard(0.0)
          .help(
              "Probability, from 0 to 1, with which a picture is shown with an empty prompt, so"
                  + " that the model keeps working with classifier-free guidance; 0.05 to 0.1 is"
                  + " usual in long trainings.");

  static final Key<CaptionConfig, Boolean> WEIGHTED_CAPTIONS =
      KEYS.key("weighted_captions", ValueType.flag(), CaptionConfig::weighted)
          .standard(false)
          .help(
              "Weight words in captions as in prompts of generate: (word:1.2) by 1.2, (word) by"
                  + " 1.1, [word] by 1/1.1; a backslash makes the next bracket plain text. false"
                  + " reads all brackets as plain text. Not possible while the text encoder or"
                  + " placeholder_token is trained.");

  static CaptionConfig of(Values run) {
    return new CaptionConfig(
        List.of(run.get(EXTENSIONS).split(",")),
        run.get(LINES),
        run.get(SHUFFLE_TAGS),
        run.get(KEEP_TOKENS),
        run.get(TAG_DROPOUT_RATE),
        run.get(DROPOUT_RATE),
        run.get(WEIGHTED_CAPTIONS));
  }

  /** Weights change what a text encoder says, after it is said: not what one is to learn to say. */
  void check(Values run, Config whole) {
    if (weighted && whole.promptsLearn()) {
      run.error(
          "weighted_captions does not work while the text encoder's output is trained, as %s does here: leave out weighted_captions, so that brackets are read as plain text, or leave out %s"
              .formatted(trains(whole), trains(whole)));
    }
    if (weighted && (shuffleTags || tagDropoutRate > 0)) {
      run.remark(
          "weighted_captions: shuffle_tags and caption_tag_dropout_rate take captions apart at commas, so put brackets around one tag, not around several");
    }
  }

  private static String trains(Config whole) {
    return !whole.training().trainTextEncoder()
        ? EmbeddingConfig.PLACEHOLDER_TOKEN.name()
        : whole.embedding().used()
            ? "train_text_encoder and placeholder_token"
            : TrainingConfig.TRAIN_TEXT_ENCODER.name();
  }

  /** What a caption file of several lines means. */
  public enum Lines {
    /** One caption, broken into lines. */
    JOINED,
    /** The first is the caption. */
    FIRST,
    /**
     * Each is a caption of its own, of which an epoch takes one; all come before one comes again.
     */
    DRAWN;

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** Whether a prompt may differ from one step to the next, so that its encoding cannot be kept. */
  public boolean varies() {
    return shuffleTags || tagDropoutRate > 0 || dropoutRate > 0;
  }
}
