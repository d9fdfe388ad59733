package dreambooth4j.pipeline;

import dreambooth4j.Problem;
import dreambooth4j.config.ConceptConfig;
import dreambooth4j.config.Config;
import dreambooth4j.config.ModelConfig;
import dreambooth4j.config.SamplePrompt;
import dreambooth4j.data.ClassImage;
import dreambooth4j.data.ClassPool;
import dreambooth4j.data.Concept;
import dreambooth4j.data.Picture;
import dreambooth4j.model.AddedTokens;
import dreambooth4j.model.TokenCount;
import dreambooth4j.model.Tokenizer;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.ModelSource;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Prompts of which the text encoder reads only the beginning. */
public final class LongPrompts {
  private static final int SHOWN_CHARACTERS = 100;

  private final Tokenizer tokenizer;
  private final TextEncoding how;
  private final Set<String> seen = new HashSet<>();
  private final List<String> found = new ArrayList<>();
  private int longest;

  /** Counts with this tokenizer, which it does not close. */
  public LongPrompts(Tokenizer tokenizer, TextEncoding how) {
    this.tokenizer = tokenizer;
    this.how = how;
  }

  /**
   * All prompts of a run: of its pictures, class images and samples, and their negative prompts.
   *
   * @param classImages those that are there, whose captions may be their own
   */
  public static LongPrompts of(
      Tokenizer tokenizer,
      Config config,
      List<Concept> concepts,
      Map<ClassPool, List<ClassImage>> classImages) {
    LongPrompts prompts = new LongPrompts(tokenizer, TextEncoding.ofCaptions(config));
    for (Concept concept : concepts) {
      concept.pictures().forEach(picture -> prompts.add(config, concept.config(), picture));
    }
    for (List<ClassImage> pool : classImages.values()) {
      pool.forEach(image -> prompts.add(image.file() + ": its caption", image.prompt()));
    }
    for (ConceptConfig each : config.concepts()) {
      String of = " of " + each.name();
      prompts.add("class_negative_prompt" + of, each.classImages().negativePrompt());
      prompts.add("save_sample_prompt" + of, each.samples().prompt());
      prompts.add("save_sample_negative_prompt" + of, each.samples().negativePrompt());
    }
    String validation = config.samples().validationPrompt();
    prompts.add("validation_prompt", validation == null ? "" : validation);
    for (SamplePrompt each : config.samples().prompts()) {
      prompts.add("sample_prompts line " + each.line(), each.prompt());
      prompts.add("sample_prompts line %d: --n".formatted(each.line()), each.negative());
    }
    return prompts;
  }

  /**
   * As {@link #notes}, of all prompts of a run; of the base model only the tokenizer is read.
   * Without one it says that nothing was counted.
   */
  public static List<String> notesOf(
      Config config,
      List<Concept> concepts,
      Map<ClassPool, List<ClassImage>> classImages,
      int most) {
    try {
      ModelSource base = Models.find(config.model());
      AddedTokens words = NewWords.tokens(base, config.embedding());
      try (Tokenizer tokenizer = Tokenizer.open(base.files(Component.TOKENIZER), words)) {
        return of(tokenizer, config, concepts, classImages).notes("max_token_length: ", most);
      }
    } catch (Problem e) {
      return List.of("tokens of the prompts are not counted: " + e.getMessage());
    }
  }

  private void add(Config config, ConceptConfig concept, Picture picture) {
    boolean hasClass = config.prior().withPriorPreservation() && concept.classImages().wanted();
    for (Picture.Wording wording : picture.wordings()) {
      add(picture.file() + ": its instance prompt", wording.instancePrompt());
      add(picture.file() + ": its class caption", hasClass ? wording.classCaption() : "");
    }
  }

  /** Looks at a prompt; of the same prompt in several places the first is named. */
  public void add(String where, String written) {
    String prompt = how.words(written);
    if (isShort(prompt) || !seen.add(prompt)) {
      return;
    }
    TokenCount count = tokenizer.count(prompt, how.windows());
    if (count.isCut()) {
      longest = Math.max(longest, count.tokens());
      found.add(
          "%s has %d tokens, of which %d are read; cut off: %s"
              .formatted(where, count.tokens(), count.limit(), shown(count.cutOff())));
    }
  }

  /**
   * Spares nearly all of 100,000 captions the tokenizer: no token is less than a letter, but those
   * of a new word.
   */
  private boolean isShort(String prompt) {
    return prompt.length() <= how.maxTokenLength()
        && prompt.chars().allMatch(c -> c < 128)
        && !tokenizer.hasAdded(prompt);
  }

  private static String shown(String text) {
    return text.length() <= SHOWN_CHARACTERS
        ? text
        : text.substring(0, text.offsetByCodePoints(0, SHOWN_CHARACTERS)) + "…";
  }

  /**
   * A line for each that is too long, and one on what helps; empty if none is.
   *
   * @param key how to say the setting: what its value is written behind
   * @param most lines; so many more are counted
   */
  public List<String> notes(String key, int most) {
    if (found.isEmpty()) {
      return List.of();
    }
    List<String> notes = new ArrayList<>(found.subList(0, Math.min(most, found.size())));
    if (found.size() > most) {
      notes.add(
          "... and %d prompts more; dreambooth inspect shows all".formatted(found.size() - most));
    }
    int all = ModelConfig.TOKEN_LENGTHS.get(ModelConfig.TOKEN_LENGTHS.size() - 1);
    notes.add(
        ModelConfig.TOKEN_LENGTHS.stream()
            .filter(length -> length >= longest)
            .findFirst()
            .map(length -> "%s%d reads %s whole".formatted(key, length, them()))
            .orElse("shorten %s: %s%d is the most that can be read".formatted(them(), key, all)));
    return notes;
  }

  private String them() {
    return found.size() == 1 ? "it" : "them";
  }
}
