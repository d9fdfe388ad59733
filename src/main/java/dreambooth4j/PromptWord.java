package dreambooth4j;

import java.util.regex.Pattern;

/** What a prompt can hold as one word, so that it may have tokens of its own. */
public final class PromptWord {
  /** What it is, for a message that refuses something else. */
  public static final String RULE =
      "up to 75 characters without spaces, commas, brackets other than < and >, quotation marks, |,"
          + " __ or \\";

  /** Without characters by which captions and prompts are divided. */
  private static final Pattern WORD =
      Pattern.compile("(?!.*__)[^\\s\\p{Z}\\p{Cc},()\\[\\]{}\"'`|\\\\]{1,75}");

  private PromptWord() {}

  /** Whether it is one. */
  public static boolean is(String text) {
    return WORD.matcher(text).matches();
  }
}
