package dreambooth4j.data;

import java.util.regex.Pattern;

/**
 * A token as a whole word of a text, in either case of letters. Where a token begins or ends with a
 * letter, no letter, digit or underscore may stand beside it. Scripts that write words without
 * blanks between them have no such boundary: there any place will do that does not split a letter
 * from its marks, and so it is beside punctuation and symbols.
 */
final class Word {
  private static final String IN_WORD =
      "[\\w&&[^\\p{IsHan}\\p{IsHiragana}\\p{IsThai}\\p{IsLao}\\p{IsKhmer}\\p{IsMyanmar}]]";

  /**
   * Marks, joiners and skin tones belong to what they follow. (Java's own grapheme boundary errs.)
   */
  private static final String NOT_SPLIT = "(?![\\p{M}\\x{200D}\\x{1F3FB}-\\x{1F3FF}])";

  private static final Pattern BEGINS_IN_WORD =
      Pattern.compile("^" + IN_WORD, Pattern.UNICODE_CHARACTER_CLASS);
  private static final Pattern ENDS_IN_WORD =
      Pattern.compile(IN_WORD + "$", Pattern.UNICODE_CHARACTER_CLASS);
  private static final int EITHER_CASE = Pattern.CASE_INSENSITIVE | Pattern.UNICODE_CASE;

  private Word() {}

  /** Finds the token. */
  static Pattern of(String token) {
    String start = BEGINS_IN_WORD.matcher(token).find() ? "(?<!" + IN_WORD + ")" : "";
    return Pattern.compile(
        start + "(?<!\\x{200D})" + toTheEnd(token), EITHER_CASE | Pattern.UNICODE_CHARACTER_CLASS);
  }

  /** Finds the token, as it is written, with its article before it. */
  static Pattern withArticle(String token) {
    return Pattern.compile(
        "(?<!" + IN_WORD + ")(?:a|the|an) " + toTheEnd(token), Pattern.UNICODE_CHARACTER_CLASS);
  }

  private static String toTheEnd(String token) {
    String end = ENDS_IN_WORD.matcher(token).find() ? "(?!" + IN_WORD + ")" : "";
    return Pattern.quote(token) + NOT_SPLIT + end;
  }
}
