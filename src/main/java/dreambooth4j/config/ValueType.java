package dreambooth4j.config;

import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * What a key takes.
 *
 * @param allowed in words, for help and errors: "a whole number of at least 1"
 * @param parser reads it; throws IllegalArgumentException for anything else
 * @param kind what a bare flag and an empty text mean
 */
public record ValueType<T>(String allowed, Parser<T> parser, Kind kind) {
  /** How a value is left out. */
  public enum Kind {
    /** A value must be there. */
    PLAIN,
    /** The bare flag, without a value, means true. */
    FLAG,
    /** An empty text means that nothing is set. */
    TEXT,
    /** The same; a file may give a list in place of a text. */
    LIST
  }

  /** Of {@link #upTo}: the least number but 0. */
  private static final double SMALLEST = 1e-12;

  /** What a key takes that is on or off. */
  public static final String FLAG = "true or false";

  /** What follows each element of a list in a file, which may hold commas. */
  static final String BETWEEN = "\n";

  private static final Pattern WHOLE = Pattern.compile("[-+]?\\d{1,18}(\\.0+)?");
  private static final Pattern NUMBER =
      Pattern.compile("[-+]?(\\d+\\.?\\d*|\\.\\d+)([eE][-+]?\\d+)?");

  /** Reads a value. */
  public interface Parser<T> {
    /** The value of a text; paths in it are relative to the folder. */
    T parse(String text, Path folder);
  }

  static ValueType<Integer> whole(int least, int most) {
    String allowed =
        most == Integer.MAX_VALUE
            ? "a whole number of at least " + least
            : "a whole number from %d to %d".formatted(least, most);
    return new ValueType<>(
        allowed,
        (text, folder) -> {
          long value = parseWhole(text);
          require(value >= least && value <= most);
          return (int) value;
        },
        Kind.PLAIN);
  }

  static ValueType<Integer> multipleOf(int unit, int most) {
    return new ValueType<>(
        "a whole number up to %d that %d divides".formatted(most, unit),
        (text, folder) -> {
          long value = parseWhole(text);
          require(value >= unit && value <= most && value % unit == 0);
          return (int) value;
        },
        Kind.PLAIN);
  }

  static ValueType<Integer> atLeast(int least) {
    return whole(least, Integer.MAX_VALUE);
  }

  static ValueType<Long> seed() {
    return new ValueType<>("a whole number", (text, folder) -> parseWhole(text), Kind.PLAIN);
  }

  static ValueType<Double> number(String allowed, Predicate<Double> check) {
    return new ValueType<>(allowed, (text, folder) -> parseNumber(text, check), Kind.PLAIN);
  }

  /** A number between two others, which count too. */
  static ValueType<Double> number(double least, double most) {
    return number(
        "a number from %s to %s".formatted(plain(least), plain(most)),
        value -> value >= least && value <= most);
  }

  /**
   * 0 or a number up to another. What is nearer to 0 than {@link #SMALLEST} is not taken: it would
   * be lost or overflow in what is computed from it in float32.
   */
  static ValueType<Double> upTo(double most) {
    return number(
        "a number of at least 0 and at most %s, not between 0 and %s"
            .formatted(plain(most), plain(SMALLEST)),
        value -> isUpTo(value, most));
  }

  /** As {@link #upTo}, or true and false for two numbers that stand for them. */
  static ValueType<Double> upToOrFlag(double most, double whenTrue) {
    return numberOrFlag(
        "a number of at least 0 and at most %s, true or false".formatted(plain(most)),
        value -> isUpTo(value, most),
        whenTrue,
        0);
  }

  private static boolean isUpTo(double value, double most) {
    return value == 0 || (value >= SMALLEST && value <= most);
  }

  private static String plain(double bound) {
    return bound == Math.rint(bound) && bound <= 1e6
        ? Long.toString((long) bound)
        : Double.toString(bound).replace(".0", "").replace('E', 'e');
  }

  /** A number, or true and false for two numbers that stand for them. */
  static ValueType<Double> numberOrFlag(
      String allowed, Predicate<Double> check, double whenTrue, double whenFalse) {
    return new ValueType<>(
        allowed,
        (text, folder) ->
            switch (text.toLowerCase(Locale.ROOT)) {
              case "true" -> whenTrue;
              case "false" -> whenFalse;
              default -> parseNumber(text, check);
            },
        Kind.FLAG);
  }

  static ValueType<Boolean> flag() {
    return new ValueType<>(
        FLAG,
        (text, folder) -> {
          boolean value = text.equalsIgnoreCase("true");
          require(value || text.equalsIgnoreCase("false"));
          return value;
        },
        Kind.FLAG);
  }

  /** One of an enumeration's names, of which the bare flag stands for TRUE. */
  static <T extends Enum<T>> ValueType<T> flagOr(Class<T> names) {
    ValueType<T> named = oneOf(names);
    return new ValueType<>(named.allowed, named.parser, Kind.FLAG);
  }

  static ValueType<String> text() {
    return new ValueType<>("a text", (text, folder) -> text, Kind.TEXT);
  }

  /** File name extensions, separated by commas; written with their dots and in small letters. */
  static ValueType<String> extensions() {
    return new ValueType<>(
        "file extensions separated by commas",
        (text, folder) -> {
          String plain = text.toLowerCase(Locale.ROOT).replaceAll("[\\s.]", "");
          require(plain.matches("[\\w-]+(,[\\w-]+)*"));
          return "." + plain.replace(",", ",.");
        },
        Kind.PLAIN);
  }

  /** One of an enumeration's names, in either case of letters. */
  static <T extends Enum<T>> ValueType<T> oneOf(Class<T> names) {
    return oneOf(
        List.of(names.getEnumConstants()), (text, folder) -> text.toLowerCase(Locale.ROOT));
  }

  static ValueType<Path> path() {
    return new ValueType<>("a path", ValueType::resolve, Kind.TEXT);
  }

  /**
   * A list: in a file as one, or in a text with commas between its elements.
   *
   * @param allowed what the elements are, in words
   */
  static <T> ValueType<List<T>> list(String allowed, Parser<T> element) {
    return new ValueType<>(
        allowed + ", as a list or separated by commas",
        (text, folder) ->
            Stream.of(text.split(text.contains(BETWEEN) ? BETWEEN : ",", -1))
                .map(String::strip)
                .filter(each -> !each.isEmpty())
                .map(each -> element.parse(each, folder))
                .toList(),
        Kind.LIST);
  }

  /** A path if something lies there or it can be nothing else, otherwise a name kept as it is. */
  static ValueType<String> pathOrName() {
    return new ValueType<>(
        "a path or a name",
        (text, folder) -> {
          require(!text.isBlank());
          Path path = resolve(text, folder);
          boolean name = text.matches("[\\w-][\\w.-]*(/[\\w-][\\w.-]*)?") && !Files.exists(path);
          return name ? text : path.toString();
        },
        Kind.TEXT);
  }

  static <T> ValueType<T> oneOf(List<T> values, Parser<String> canonical) {
    StringBuilder names = new StringBuilder("one of ");
    for (T value : values) {
      names.append(value == values.get(0) ? "" : ", ").append(value);
    }
    return new ValueType<>(
        names.toString(),
        (text, folder) -> {
          String name = canonical.parse(text, folder);
          return values.stream()
              .filter(value -> value.toString().equals(name))
              .findFirst()
              .orElseThrow(IllegalArgumentException::new);
        },
        Kind.PLAIN);
  }

  static Path resolve(String text, Path folder) {
    require(!text.isBlank());
    try {
      boolean home = text.equals("~") || text.startsWith("~/");
      Path path = home ? Path.of(System.getProperty("user.home") + text.substring(1)) : null;
      return folder.resolve(path == null ? Path.of(text) : path).toAbsolutePath().normalize();
    } catch (InvalidPathException e) {
      throw new IllegalArgumentException(e);
    }
  }

  private static long parseWhole(String text) {
    require(WHOLE.matcher(text).matches());
    int point = text.indexOf('.');
    return Long.parseLong(point < 0 ? text : text.substring(0, point));
  }

  static double parseNumber(String text, Predicate<Double> check) {
    require(NUMBER.matcher(text).matches());
    double value = Double.parseDouble(text);
    require(Double.isFinite(value) && check.test(value));
    return value;
  }

  private static void require(boolean condition) {
    if (!condition) {
      throw new IllegalArgumentException();
    }
  }
}
