package dreambooth4j.data;

import dreambooth4j.config.ConceptConfig;
import dreambooth4j.random.CounterRandom;
import java.text.Normalizer;
import java.util.Arrays;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * Turns a caption into the two prompts that a picture needs: the instance prompt, which names the
 * subject, and the class caption, the same words with the subject taken out, from which its class
 * images are made. The rules are those of sd_dreambooth_extension's {@code create_text}, except
 * that tags left empty are dropped. Text is compared in Unicode's composed form, which is what the
 * tokenizer makes of it too.
 */
public final class Prompts {
  /** What a template replaces by the caption. */
  public static final String FILEWORDS = "[filewords]";

  /** Backslashes but those before brackets that would weigh words otherwise. */
  private static final Pattern OTHER_BACKSLASHES = Pattern.compile("\\\\(?![()\\[\\]])");

  private static final Pattern CONTROLS = Pattern.compile("[\\p{Cc}&&[^\\s\\x85]]");
  private static final Pattern BLANKS = Pattern.compile("\\s+", Pattern.UNICODE_CHARACTER_CLASS);

  private final String instanceToken;
  private final String classToken;
  private final String instancePrompt;
  private final String classPrompt;
  private final Pattern instanceWord;
  private final Pattern classWord;
  private final Pattern classWithArticle;
  private final boolean weighted;

  /**
   * The rules for these tokens. They are compared word by word, so blanks at their ends or doubled
   * between do not count.
   *
   * @param instanceToken names the subject ("santa"); may be empty
   * @param classToken names its class ("man"); may be empty
   * @param instancePrompt template of the instance prompt; {@code [filewords]} stands for the
   *     caption
   * @param classPrompt template of the class caption, likewise
   */
  public Prompts(
      String instanceToken, String classToken, String instancePrompt, String classPrompt) {
    this(instanceToken, classToken, instancePrompt, classPrompt, false);
  }

  private Prompts(
      String instanceToken,
      String classToken,
      String instancePrompt,
      String classPrompt,
      boolean weighted) {
    this.weighted = weighted;
    this.instanceToken = token(instanceToken);
    this.classToken = token(classToken);
    this.instancePrompt = instancePrompt;
    this.classPrompt = classPrompt;
    this.instanceWord = Word.of(this.instanceToken);
    this.classWord = Word.of(this.classToken);
    this.classWithArticle = Word.withArticle(this.classToken);
  }

  /** The prompts of a concept. */
  public static Prompts of(ConceptConfig concept) {
    return new Prompts(
        concept.instanceToken(),
        concept.classImages().token(),
        concept.instancePrompt(),
        concept.classTemplate(),
        concept.weighted());
  }

  /** The instance prompt of a picture with this caption. */
  public String instancePrompt(String caption) {
    String text = fill(instancePrompt, caption);
    if (instanceToken.isEmpty()) {
      return dropEmptyTags(text);
    }
    boolean hasInstance = !classToken.isEmpty() && instanceWord.matcher(text).find();
    boolean hasClass = !classToken.isEmpty() && classWord.matcher(text).find();
    if (hasClass && !hasInstance) {
      text = classWithArticle.matcher(text).replaceAll(literal(classToken));
      text = classWord.matcher(text).replaceAll(literal(instanceToken));
    } else if (!hasInstance) {
      text = instanceToken + ", " + text;
    }
    return dropEmptyTags(text);
  }

  /**
   * The class caption of a picture with this caption; empty if the subject is all that it says and
   * there is no class token.
   */
  public String classCaption(String caption) {
    String text = fill(classPrompt, caption);
    if (instanceToken.isEmpty()) {
      return dropEmptyTags(classToken + ", " + text);
    }
    if (!classToken.isEmpty() && !classWord.matcher(text).find()) {
      text = instanceWord.matcher(text).replaceAll(literal(classToken));
    }
    // Taking a token out may join its neighbours to another one.
    while (instanceWord.matcher(text).find()) {
      text = tidy(instanceWord.matcher(text).replaceAll(""));
    }
    if (!classToken.isEmpty() && !classWord.matcher(text).find()) {
      text = classToken + ", " + text;
    }
    return dropEmptyTags(text);
  }

  /**
   * Keeps so many tags at the start and puts the others in a random order, so that training does
   * not learn their order.
   */
  static String shuffleTags(String prompt, int kept, CounterRandom random) {
    String[] tags = prompt.split(",", -1);
    int first = Math.min(kept, tags.length);
    int[] order = random.permutation(tags.length - first);
    String[] shuffled = tags.clone();
    for (int i = 0; i < order.length; i++) {
      shuffled[first + i] = tags[first + order[i]];
    }
    return dropEmptyTags(String.join(",", shuffled));
  }

  /** Collapses blanks and drops empty tags; leaves everything else as it was written. */
  public static String dropEmptyTags(String prompt) {
    return Arrays.stream(tidy(prompt).split(","))
        .filter(tag -> !tag.isBlank())
        .collect(Collectors.joining(","))
        .strip();
  }

  /** Whether this text holds the token as a whole word, in either case of letters. */
  public static boolean mentions(String text, String token) {
    String plain = token(token);
    return !plain.isEmpty() && Word.of(plain).matcher(tidy(text)).find();
  }

  // Captions lose their backslashes, so a token with one would be found in none.
  private static String token(String token) {
    return tidy(token.replace("\\", "")).strip();
  }

  // Blanks and backslashes go first, so that neither hides a token from the rules.
  private String fill(String template, String caption) {
    String filled = template.replace(FILEWORDS, caption);
    return tidy(
        weighted ? OTHER_BACKSLASHES.matcher(filled).replaceAll("") : filled.replace("\\", ""));
  }

  // Control characters go too: a caption may come from anywhere, and is printed to terminals.
  private static String tidy(String text) {
    String plain = CONTROLS.matcher(text).replaceAll("");
    return BLANKS.matcher(Normalizer.normalize(plain, Normalizer.Form.NFC)).replaceAll(" ");
  }

  private static String literal(String replacement) {
    return Matcher.quoteReplacement(replacement);
  }
}
