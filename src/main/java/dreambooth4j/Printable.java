package dreambooth4j;

import java.util.Locale;

/**
 * Texts that somebody else wrote, such as names of files and captions, as they may be printed. Raw,
 * they could move a terminal's cursor, colour it, or show a name backwards.
 */
public final class Printable {
  /** As much of one value as a message shows. */
  private static final int LONGEST_VALUE = 80;

  private Printable() {}

  /** A value that somebody wrote, for the midst of a message: cut where it is long. */
  public static String shortened(Object value) {
    String text = String.valueOf(value);
    return text.length() <= LONGEST_VALUE ? text : text.substring(0, LONGEST_VALUE) + "…";
  }

  /**
   * The text with control characters, characters that turn the direction of writing, and halves of
   * surrogate pairs written as {@code \}{@code uXXXX}. Line breaks and tabs stay.
   */
  public static String text(String text) {
    return escaped(text, "\n\t");
  }

  /** As {@link #text}, on one line: line breaks and tabs are escaped too. */
  public static String line(String text) {
    return escaped(text, "");
  }

  /** A number with so many digits after the point, its minus sign no hyphen; never "−0.00". */
  public static String number(double value, int digits) {
    String text = String.format(Locale.ROOT, "%." + digits + "f", value);
    boolean negative = text.startsWith("-");
    boolean zero = text.chars().noneMatch(c -> c >= '1' && c <= '9');
    String size = negative ? text.substring(1) : text;
    return negative && !zero ? "−" + size : size;
  }

  private static String escaped(String text, String allowed) {
    if (text.codePoints().noneMatch(c -> isUnsafe(c, allowed))) {
      return text;
    }
    StringBuilder safe = new StringBuilder();
    text.codePoints()
        .forEach(
            c -> {
              if (isUnsafe(c, allowed)) {
                safe.append("\\u%04x".formatted(c));
              } else {
                safe.appendCodePoint(c);
              }
            });
    return safe.toString();
  }

  private static boolean isUnsafe(int c, String allowed) {
    boolean turns = (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
    boolean half = c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE;
    return turns || half || (Character.isISOControl(c) && allowed.indexOf(c) < 0);
  }
}
