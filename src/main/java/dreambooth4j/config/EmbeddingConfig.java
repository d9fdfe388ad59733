package dreambooth4j.config;

import dreambooth4j.PromptWord;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Textual inversion: words that the base model lacks get vectors of their own, which train alone or
 * with the rest.
 *
 * @param words those that train; none where nothing is trained so
 * @param initializers for each, the words whose vectors it begins with
 * @param vectors tokens of a prompt that each word is
 * @param learningRate their learning rate; null for the run's
 * @param weights a file that training goes on from; null for new vectors
 */
public record EmbeddingConfig(
    List<String> words,
    List<String> initializers,
    int vectors,
    @Nullable Double learningRate,
    @Nullable Path weights) {
  static final Section<EmbeddingConfig> KEYS = new Section<>(Key.Group.EMBEDDING);

  static final Key<EmbeddingConfig, String> PLACEHOLDER_TOKEN =
      KEYS.key("placeholder_token", listOfWords(), config -> joined(config.words))
          .otherwise("no new word is trained")
          .help(
              "New word that stands for the subject in prompts and captions, such as <my-cat>: its"
                  + " vectors are trained (textual inversion) and saved as a small file that other"
                  + " programs load beside the model. Several are separated by commas. The UNet"
                  + " trains too, unless train_unet is false.");
  static final Key<EmbeddingConfig, String> INITIALIZER_TOKEN =
      KEYS.key("initializer_token", ValueType.text(), config -> joined(config.initializers))
          .otherwise("class_token, or without one *")
          .help(
              "Word of the base model whose vector placeholder_token starts from, ideally one that"
                  + " says what the subject is, such as cat; for several new words give one for"
                  + " all, or as many separated by commas.");
  static final Key<EmbeddingConfig, Integer> NUM_VECTORS =
      KEYS.key(
              "num_vectors",
              ValueType.whole(1, 75),
              config -> config.used() && config.weights == null ? config.vectors : null)
          .standard(1)
          .unit("vectors")
          .help(
              "Number of vectors of each placeholder_token, which takes as many of the 75 tokens of"
                  + " a prompt. More vectors learn more details and are harder to combine with"
                  + " other words.");
  static final Key<EmbeddingConfig, Double> EMBEDDING_LEARNING_RATE =
      KEYS.key("embedding_learning_rate", ValueType.upTo(1e38), EmbeddingConfig::learningRate)
          .otherwise("as learning_rate")
          .help(
              "Learning rate of the vectors of placeholder_token after the warm-up. 5e-4 to 5e-3 is"
                  + " usual, far more than for weights.");
  static final Key<EmbeddingConfig, Path> EMBEDDING_WEIGHTS =
      KEYS.key("embedding_weights", ValueType.path(), EmbeddingConfig::weights)
          .otherwise("new vectors")
          .help(
              "Embedding file from which the training of placeholder_token continues, made by this"
                  + " program, diffusers, kohya's scripts or A1111. The file determines the number"
                  + " of vectors.");

  /** No new words. */
  public static final EmbeddingConfig NONE =
      new EmbeddingConfig(List.of(), List.of(), 1, null, null);

  private static final String SEPARATOR = ", ";

  private static ValueType<String> listOfWords() {
    return new ValueType<>(
        "words, separated by commas, each of " + PromptWord.RULE,
        (text, folder) -> {
          Set<String> seen = new HashSet<>();
          for (String each : split(text)) {
            if (!PromptWord.is(each) || !seen.add(each.toLowerCase(Locale.ROOT))) {
              throw new IllegalArgumentException(each);
            }
          }
          return String.join(SEPARATOR, split(text));
        },
        ValueType.Kind.TEXT);
  }

  private static List<String> split(String text) {
    return Arrays.stream(text.split(",", -1)).map(String::strip).toList();
  }

  private static @Nullable String joined(List<String> words) {
    return words.isEmpty() ? null : String.join(SEPARATOR, words);
  }

  /** Whether words are trained. */
  public boolean used() {
    return !words.isEmpty();
  }

  /**
   * What is trained so.
   *
   * @param concepts whose class tokens say what words begin as
   */
  static EmbeddingConfig of(Values run, List<ConceptConfig> concepts) {
    String said = run.orNull(PLACEHOLDER_TOKEN);
    if (said == null) {
      for (Key<EmbeddingConfig, ?> each :
          List.of(INITIALIZER_TOKEN, NUM_VECTORS, EMBEDDING_LEARNING_RATE, EMBEDDING_WEIGHTS)) {
        run.remarkUseless(
            each, "no new word is trained: set placeholder_token to one, or leave it out");
      }
      return NONE;
    }
    List<String> words = split(said);
    Path weights = run.orNull(EMBEDDING_WEIGHTS);
    if (weights != null) {
      if (words.size() > 1) {
        run.error("embedding_weights is the file of one word: give one placeholder_token");
      }
      String own = "embedding_weights says it of its own vectors: leave it out";
      run.remarkUseless(NUM_VECTORS, own);
      run.remarkUseless(INITIALIZER_TOKEN, own);
    }
    return new EmbeddingConfig(
        words,
        weights == null ? initializers(run, words.size(), concepts) : List.of(),
        run.get(NUM_VECTORS),
        run.orNull(EMBEDDING_LEARNING_RATE),
        weights);
  }

  /** What else a run must be that trains words, and what one that does not train the UNet. */
  void check(
      Values run,
      TrainingConfig training,
      LoraConfig lora,
      OptimizerConfig optimizer,
      AnchorConfig anchor) {
    if (lora.used() && !training.trainUnet() && !training.trainTextEncoder()) {
      run.error(
          "use_lora: true with train_unet: false leaves no layer for an adapter: set train_text_encoder: true, or leave out one of the two");
    }
    if (!training.trainUnet() && !training.trainTextEncoder() && !used()) {
      run.error(
          "train_unet: false leaves nothing to train: set placeholder_token to a new word, or train_text_encoder: true");
    }
    boolean stops = training.trainTextEncoder() && training.stopTextEncoder() < 1;
    if (!training.trainUnet() && !used() && stops) {
      run.error(
          "stop_text_encoder: %s with train_unet: false leaves nothing to train after that part of the run: leave one of the two out"
              .formatted(training.stopTextEncoder()));
    }
    if (!used()) {
      return;
    }
    if (anchor.weight() > 0) {
      run.error(
          "anchor_weight would pull placeholder_token back to the word that it began as: leave out one of the two");
    }
    if (optimizer.name() == OptimizerName.PRODIGY && optimizer.factorOf(learningRate) != 1) {
      run.error(
          "optimizer: Prodigy finds one learning rate for all that trains: leave out embedding_learning_rate");
    }
  }

  private static List<String> initializers(Values run, int count, List<ConceptConfig> concepts) {
    String said = run.orNull(INITIALIZER_TOKEN);
    List<String> given = said == null ? List.of() : split(said);
    if (given.size() > 1 && given.size() != count) {
      run.error(
          "initializer_token has %d words, placeholder_token %d: give one, or as many"
              .formatted(given.size(), count));
      return List.of();
    }
    List<String> words = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      String ofClass = concepts.get(Math.min(i, concepts.size() - 1)).classImages().token();
      words.add(
          given.isEmpty()
              ? ofClass.isEmpty() ? "*" : ofClass
              : given.get(Math.min(i, given.size() - 1)));
    }
    return words;
  }
}
