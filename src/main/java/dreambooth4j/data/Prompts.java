package dreambooth4j.data;

import dreambooth4j.config.ConceptConfig;
import dreambooth4j.random.CounterRandom;
import java.util.Arrays;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * Turns a caption into the two prompts that a picture needs: the instance prompt, which names the
 * subject, and the class caption, the same words with the subject taken out, from which its class
 * images are made. The rules are those of sd_dreambooth_extension's {@code create_text}, except
 * that tags left empty are dropped.
 *
 * @param instanceToken names the subject ("santa"); may be empty
 * @param classToken names its class ("man"); may be empty
 * @param instancePrompt template of the instance prompt; {@code [filewords]} stands for the caption
 * @param classPrompt template of the class caption, likewise
 */
public record Prompts(
    String instanceToken, String classToken, String instancePrompt, String classPrompt) {
  /** What a template replaces by the caption. */
  public static final String FILEWORDS = "[filewords]";

  private static final Pattern BLANKS = Pattern.compile("\\s+", Pattern.UNICODE_CHARACTER_CLASS);

  /** Tokens are compared word by word, so blanks at their ends or doubled between do not count. */
  public Prompts {
    instanceToken = blanks(instanceToken).strip();
    classToken = blanks(classToken).strip();
  }

  /** The prompts of a concept. */
  public static Prompts of(ConceptConfig concept) {
    return new Prompts(
        concept.instanceToken(),
        concept.classImages().token(),
        concept.instancePrompt(),
        concept.classTemplate());
  }

  /** The instance prompt of a picture with this caption. */
  public String instancePrompt(String caption) {
    String text = fill(instancePrompt, caption);
    if (instanceToken.isEmpty()) {
      return dropEmptyTags(text);
    }
    boolean hasInstance = !classToken.isEmpty() && word(instanceToken).matcher(text).find();
    boolean hasClass = !classToken.isEmpty() && word(classToken).matcher(text).find();
    if (hasClass && !hasInstance) {
      text = withArticle(classToken).matcher(text).replaceAll(literal(classToken));
      text = word(classToken).matcher(text).replaceAll(literal(instanceToken));
    } else if (!hasInstance) {
      text = instanceToken + ", " + text;
    }
    return dropEmptyTags(text);
  }

  /** The class caption of a picture with this caption. */
  public String classCaption(String caption) {
    String text = fill(classPrompt, caption);
    if (classToken.isEmpty()) {
      return dropEmptyTags(text);
    }
    if (instanceToken.isEmpty()) {
      return dropEmptyTags(classToken + ", " + text);
    }
    Pattern instance = word(instanceToken);
    Pattern type = word(classToken);
    if (!type.matcher(text).find()) {
      text = instance.matcher(text).replaceAll(literal(classToken));
    }
    // Taking a token out may join its neighbours to another one.
    while (instance.matcher(text).find()) {
      text = blanks(instance.matcher(text).replaceAll(""));
    }
    if (!type.matcher(text).find()) {
      text = classToken + ", " + text;
    }
    return dropEmptyTags(text);
  }

  /**
   * Keeps the first tag and puts the others in a random order, so that training does not learn
   * their order.
   */
  public static String shuffleTags(String prompt, CounterRandom random) {
    String[] tags = prompt.split(",", -1);
    int[] order = random.permutation(tags.length - 1);
    StringBuilder shuffled = new StringBuilder(tags[0]);
    for (int i : order) {
      shuffled.append(',').append(tags[i + 1]);
    }
    return dropEmptyTags(shuffled.toString());
  }

  /** Collapses blanks and drops empty tags; leaves everything else as it was written. */
  public static String dropEmptyTags(String prompt) {
    return Arrays.stream(blanks(prompt).split(","))
        .filter(tag -> !tag.isBlank())
        .collect(Collectors.joining(","))
        .strip();
  }

  /** Whether this text holds the token as a whole word, in either case of letters. */
  public static boolean mentions(String text, String token) {
    return !token.isEmpty() && word(token).matcher(text).find();
  }

  // Blanks and backslashes go first, so that neither hides a token from the rules.
  private static String fill(String template, String caption) {
    return blanks(template.replace(FILEWORDS, caption).replace("\\", ""));
  }

  private static String blanks(String text) {
    return BLANKS.matcher(text).replaceAll(" ");
  }

  private static Pattern word(String token) {
    return Pattern.compile(
        "(?<!\\w)" + Pattern.quote(token) + "(?!\\w)",
        Pattern.CASE_INSENSITIVE | Pattern.UNICODE_CASE | Pattern.UNICODE_CHARACTER_CLASS);
  }

  private static Pattern withArticle(String token) {
    return Pattern.compile(
        "(?<!\\w)(?:a|the|an) " + Pattern.quote(token) + "(?!\\w)",
        Pattern.UNICODE_CHARACTER_CLASS);
  }

  private static String literal(String replacement) {
    return Matcher.quoteReplacement(replacement);
  }
}
