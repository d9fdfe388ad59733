package dreambooth4j.pipeline;

import dreambooth4j.Printable;
import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.config.EmbeddingConfig;
import dreambooth4j.data.Concept;
import dreambooth4j.model.AddedTokens;
import dreambooth4j.model.ModelConfigs;
import dreambooth4j.model.Tokenizer;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.EmbeddedSource;
import dreambooth4j.weights.EmbeddingFile;
import dreambooth4j.weights.EmbeddingWriter;
import dreambooth4j.weights.ModelSource;
import dreambooth4j.weights.TokenEmbedding;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Words that a model is given beside those of its tokenizer: what a run trains, and files. */
public final class NewWords {
  private NewWords() {}

  /**
   * A model with the words that a run trains, as they begin: as other words are, or as a file has
   * them.
   *
   * @param dry whether their sizes are enough
   * @throws Problem when the model's tokenizer knows one of them, or does not know what it is to
   *     begin as, or the file cannot be used
   */
  public static ModelSource in(ModelSource base, EmbeddingConfig config, boolean dry) {
    if (!config.used()) {
      return base;
    }
    ModelConfigs configs = ModelConfigs.read(base);
    Map<Component, Integer> widths = widths(configs);
    requireNew(base, configs, config.words());
    requireFilesOfTheirOwn(config.words());
    List<TokenEmbedding> made = new ArrayList<>();
    Path file = config.weights();
    if (file != null) {
      made.add(EmbeddingFile.read(file, config.words().get(0), widths));
    } else {
      for (int i = 0; i < config.words().size(); i++) {
        String word = config.words().get(i);
        made.add(
            dry
                ? TokenEmbedding.zeros(word, config.vectors(), widths)
                : like(base, configs, word, config.initializers().get(i), config.vectors()));
      }
    }
    return new EmbeddedSource(base, made);
  }

  /**
   * A model with the words of files.
   *
   * @param files each perhaps under another word than the file's; null for the file's own
   */
  public static ModelSource of(ModelSource base, Map<Path, @Nullable String> files) {
    if (files.isEmpty()) {
      return base;
    }
    Map<Component, Integer> widths = widths(ModelConfigs.read(base));
    List<TokenEmbedding> read = new ArrayList<>();
    files.forEach((file, word) -> read.add(EmbeddingFile.read(file, word, widths)));
    return new EmbeddedSource(base, read);
  }

  private static Map<Component, Integer> widths(ModelConfigs configs) {
    Map<Component, Integer> widths = new LinkedHashMap<>();
    configs.textEncoders().forEach((component, text) -> widths.put(component, text.width()));
    return widths;
  }

  /** What is one token already, other programs would not take for a new one. */
  private static void requireNew(ModelSource base, ModelConfigs configs, List<String> words) {
    for (String word : known(base, configs, words)) {
      throw Problem.usage(
          "placeholder_token: the base model knows %s as a word of its own: take another, such as <%s>, in the prompts too"
              .formatted(word, word));
    }
  }

  /** Those of the words that a text encoder of the model reads as one token. */
  private static Set<String> known(ModelSource base, ModelConfigs configs, List<String> words) {
    Set<String> known = new LinkedHashSet<>();
    for (Component each : configs.textEncoders().keySet()) {
      try (Tokenizer tokenizer = configs.tokenizer(base, each)) {
        words.stream().filter(word -> tokenizer.words(word).length < 2).forEach(known::add);
      }
    }
    return known;
  }

  /**
   * What to say of the words of files before a picture is drawn: those that change nothing, as the
   * prompts do not have them, and those that the prompts have and the model knows by itself.
   *
   * @param base the model without them
   * @param prompts what is drawn, and what it is drawn against
   */
  public static List<String> notes(
      ModelSource base, List<TokenEmbedding> words, List<String> prompts) {
    List<String> notes = new ArrayList<>();
    List<String> used = new ArrayList<>();
    for (TokenEmbedding each : words) {
      if (prompts.stream().anyMatch(AddedTokens.of(List.of(each))::areIn)) {
        used.add(each.token());
      } else {
        notes.add(
            "--embedding: no prompt has the word %s, so its embedding changes nothing: write %s into the prompt, or leave the embedding out"
                .formatted(Printable.line(each.token()), Printable.line(each.token())));
      }
    }
    if (!used.isEmpty()) {
      for (String word : known(base, ModelConfigs.read(base), used)) {
        notes.add(
            "--embedding: %s is a word of the model's own, in whose place the embedding is read: give the embedding another word to keep both, as in --embedding my-%s=FILE"
                .formatted(Printable.line(word), Printable.line(word)));
      }
    }
    return notes;
  }

  private static void requireFilesOfTheirOwn(List<String> words) {
    Map<String, String> seen = new LinkedHashMap<>();
    for (String word : words) {
      Path file = EmbeddingWriter.file(Path.of(""), word);
      String other = seen.put(file.toString().toLowerCase(Locale.ROOT), word);
      if (other != null) {
        throw Problem.usage(
            "placeholder_token: %s and %s would both be saved as %s: give one of them other letters or digits"
                .formatted(other, word, file));
      }
    }
  }

  /** A word that begins as others are; of more vectors than these have, they are repeated. */
  private static TokenEmbedding like(
      ModelSource base, ModelConfigs configs, String word, String others, int vectors) {
    Map<Component, float[]> values = new EnumMap<>(Component.class);
    configs
        .textEncoders()
        .forEach(
            (component, text) -> {
              long[] ids;
              try (Tokenizer tokenizer = configs.tokenizer(base, component)) {
                ids = tokenizer.words(others);
              }
              if (ids.length == 0) {
                throw Problem.usage(
                    "initializer_token: '%s' has no word that the base model knows: give one, such as what the pictures show"
                        .formatted(others));
              }
              long[] repeated = new long[vectors];
              for (int i = 0; i < vectors; i++) {
                repeated[i] = ids[i % ids.length];
              }
              values.put(component, TokenEmbedding.rowsOf(base, component, repeated));
            });
    return new TokenEmbedding(word, vectors, values);
  }

  /** What counts the tokens of prompts beside the tokenizer of a run's base model. */
  public static AddedTokens tokens(ModelSource base, EmbeddingConfig config) {
    return AddedTokens.of(in(base, config, true).embeddings());
  }

  /**
   * Refuses a run in which a word that is to be trained is in no prompt of a picture.
   *
   * @throws Problem that says where to write it
   */
  public static void requireUsed(Config config, List<Concept> concepts) {
    for (String word : config.embedding().words()) {
      AddedTokens tokens = AddedTokens.of(List.of(new TokenEmbedding(word, 1, Map.of())));
      boolean used =
          concepts.stream()
              .flatMap(concept -> concept.pictures().stream())
              .flatMap(picture -> picture.wordings().stream())
              .anyMatch(wording -> tokens.areIn(wording.instancePrompt()));
      if (!used) {
        throw Problem.usage(
            "placeholder_token: %s is in no prompt of the pictures, so it would learn nothing: write it into instance_prompt, such as 'a photo of %s', or set instance_token: \"%s\", or write it into the captions"
                .formatted(word, word, word));
      }
    }
  }
}
