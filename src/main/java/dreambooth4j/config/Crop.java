package dreambooth4j.config;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Where a picture that is larger than its bucket is cropped: at x and y, from 0 (left, top) to 1,
 * the point of the picture that falls on the same point of the window; whatever is there is inside.
 *
 * @param random whether the place is drawn anew each time, and x and y mean nothing
 */
public record Crop(boolean random, double x, double y) {
  private static final Pattern POINT = Pattern.compile("(\\S+?)\\s*,\\s*(\\S+)");

  /** About the centre. */
  public static final Crop CENTER = at(0.5, 0.5);

  /** What {@code crop} takes, in words. */
  public static final String ALLOWED = "center, random or two numbers from 0 to 1 for x,y";

  static final ValueType<Crop> TYPE =
      new ValueType<>(ALLOWED, (text, folder) -> parse(text), ValueType.Kind.PLAIN);

  /** Anywhere, drawn anew each time. */
  public static final Crop RANDOM = new Crop(true, 0.5, 0.5);

  /** At a place. */
  public static Crop at(double x, double y) {
    return new Crop(false, x, y);
  }

  /**
   * What the key {@code crop} takes: "center", "random" or "x,y".
   *
   * @throws IllegalArgumentException if the text is none of them
   */
  public static Crop parse(String text) {
    String plain = text.toLowerCase(Locale.ROOT);
    if (plain.equals("center") || plain.equals("random")) {
      return plain.equals("center") ? CENTER : RANDOM;
    }
    Matcher point = POINT.matcher(plain);
    if (!point.matches()) {
      throw new IllegalArgumentException(text);
    }
    return at(fraction(point.group(1)), fraction(point.group(2)));
  }

  private static double fraction(String text) {
    return ValueType.parseNumber(text, value -> value >= 0 && value <= 1);
  }

  /** This one, or where it is random the one at a place that was drawn evenly from 0 to 1. */
  public Crop drawn(double drawnX, double drawnY) {
    return random ? at(drawnX, drawnY) : this;
  }

  /** As it is written in a configuration. */
  @Override
  public String toString() {
    return random ? "random" : equals(CENTER) ? "center" : x + "," + y;
  }
}
