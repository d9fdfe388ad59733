package dreambooth4j.config;

import java.util.Collections;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/** What an optimizer has for itself: numbers by name, written {@code name=value name=value}. */
final class OptimizerArguments {
  private OptimizerArguments() {}

  /**
   * Reads them; true is 1 and false 0.
   *
   * @throws IllegalArgumentException if they are anything else
   */
  static Map<String, Double> parse(String text) {
    Map<String, Double> arguments = new TreeMap<>();
    for (String each : text.strip().split("[\\s,]+", -1)) {
      if (each.isEmpty()) {
        continue;
      }
      int equals = each.indexOf('=');
      if (equals < 1) {
        throw new IllegalArgumentException(each);
      }
      String value = each.substring(equals + 1).toLowerCase(Locale.ROOT);
      arguments.put(
          each.substring(0, equals),
          switch (value) {
            case "true" -> 1.0;
            case "false" -> 0.0;
            default -> ValueType.parseNumber(value, v -> Math.abs(v) <= 1e9);
          });
    }
    return Collections.unmodifiableMap(arguments);
  }

  /** Writes them so that they are read again. */
  static String text(Map<String, Double> arguments) {
    return arguments.entrySet().stream()
        .map(each -> each.getKey() + "=" + each.getValue())
        .collect(Collectors.joining(" "));
  }
}
