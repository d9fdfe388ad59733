package dreambooth4j.bench;

import dreambooth4j.bench.Results.Facts;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * A part of the report.
 *
 * @param pictures names of pictures in the report's folder, each with what it shows
 * @param head of the table
 * @param rows of the table, each as long as the head
 */
record Section(
    String title,
    String text,
    Map<String, String> pictures,
    List<String> head,
    List<List<String>> rows) {

  /** Three digits that count. */
  static String shown(double value) {
    if (value == 0 || !Double.isFinite(value)) {
      return value == 0 ? "0" : "-";
    }
    int decimals = Math.max(0, 2 - (int) Math.floor(Math.log10(Math.abs(value))));
    return String.format(Locale.ROOT, "%." + Math.min(6, decimals) + "f", value);
  }

  /** The first and the last of ascending values. */
  static String range(double[] ascending) {
    String first = shown(ascending[0]);
    String last = shown(ascending[ascending.length - 1]);
    return first.equals(last) ? first : first + "–" + last;
  }

  static String percent(double share) {
    return Double.isFinite(share) ? Math.round(100 * share) + " %" : "-";
  }

  /** The commit and the day of a result. */
  static String origin(Facts facts) {
    return facts.of("commit") + ", " + facts.of("when").replaceAll("T.*", "");
  }
}
