package dreambooth4j.config.imports;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.StreamSupport;

/** Values of TOML and JSON as texts: a list's are separated by blanks. */
final class TomlValues {
  private TomlValues() {}

  /** Adds the values of a table that are no tables themselves. */
  static void addScalars(JsonNode table, Map<String, String> values) {
    table
        .properties()
        .forEach(
            each -> {
              if (isScalar(each.getValue())) {
                values.put(each.getKey(), text(each.getValue()));
              }
            });
  }

  /** Adds all values, those of tables within it by their own names alone. */
  static void addAll(JsonNode table, Map<String, String> values) {
    addScalars(table, values);
    table
        .properties()
        .forEach(
            each -> {
              if (each.getValue().isObject()) {
                addAll(each.getValue(), values);
              }
            });
  }

  /** Whether a value is a number, a text, a flag, or a list of them. */
  static boolean isScalar(JsonNode value) {
    return !value.isObject()
        && !(value.isArray() && !value.isEmpty() && !value.path(0).isValueNode());
  }

  /** A value as a text. */
  static String text(JsonNode value) {
    if (value.isArray()) {
      return StreamSupport.stream(value.spliterator(), false)
          .map(TomlValues::text)
          .collect(Collectors.joining(" "));
    }
    return value.isNull() ? "" : value.asText();
  }
}
