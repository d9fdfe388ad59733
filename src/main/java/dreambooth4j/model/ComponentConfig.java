package dreambooth4j.model;

import com.fasterxml.jackson.databind.JsonNode;
import dreambooth4j.Problem;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Reads a component's config.json: what is used is asked for with its default, what must have one
 * value is required to, and what is left over may say nothing but null or false. So no setting is
 * passed over in silence.
 */
final class ComponentConfig {
  private final JsonNode node;
  private final String where;
  private final Set<String> seen = new HashSet<>();

  /** {@code where} names the file in errors. */
  ComponentConfig(JsonNode node, String where) {
    if (!node.isObject()) {
      throw Problem.data(where + ": expected a JSON object, found " + node.getNodeType());
    }
    this.node = node;
    this.where = where;
  }

  private JsonNode get(String key) {
    seen.add(key);
    return node.path(key);
  }

  int integer(String key, int otherwise) {
    JsonNode value = get(key);
    return value.isMissingNode() || value.isNull() ? otherwise : positive(key, value);
  }

  private int positive(String key, JsonNode value) {
    if (!value.isInt() || value.intValue() <= 0 || value.intValue() > 1 << 24) {
      throw Problem.data("%s: %s must be a positive number, found %s".formatted(where, key, value));
    }
    return value.intValue();
  }

  double number(String key, double otherwise) {
    JsonNode value = get(key);
    if (value.isMissingNode() || value.isNull()) {
      return otherwise;
    }
    if (!value.isNumber()) {
      throw Problem.data("%s: %s must be a number, found %s".formatted(where, key, value));
    }
    return value.doubleValue();
  }

  boolean flag(String key, boolean otherwise) {
    JsonNode value = get(key);
    if (value.isMissingNode() || value.isNull()) {
      return otherwise;
    }
    if (!value.isBoolean()) {
      throw Problem.data("%s: %s must be true or false, found %s".formatted(where, key, value));
    }
    return value.booleanValue();
  }

  String text(String key, String otherwise) {
    JsonNode value = get(key);
    return value.isMissingNode() || value.isNull() ? otherwise : value.asText();
  }

  /** A list of positive numbers. */
  List<Integer> integers(String key) {
    JsonNode value = get(key);
    if (!value.isArray() || value.isEmpty()) {
      throw Problem.data("%s: %s must be a list of numbers, found %s".formatted(where, key, value));
    }
    List<Integer> list = new ArrayList<>();
    value.forEach(each -> list.add(positive(key, each)));
    return list;
  }

  /** A list of {@code length} positive numbers, or one that stands for all. */
  List<Integer> integersOrOne(String key, int length, int otherwise) {
    JsonNode value = get(key);
    List<Integer> list =
        value.isArray()
            ? integers(key)
            : java.util.Collections.nCopies(length, integer(key, otherwise));
    if (list.size() != length) {
      throw Problem.data(
          "%s: %s has %d entries, but there are %d levels"
              .formatted(where, key, list.size(), length));
    }
    return list;
  }

  /** A list of names. */
  List<String> names(String key) {
    JsonNode value = get(key);
    if (!value.isArray() || value.isEmpty()) {
      throw Problem.data("%s: %s must be a list of names, found %s".formatted(where, key, value));
    }
    List<String> list = new ArrayList<>();
    value.forEach(each -> list.add(each.asText()));
    return list;
  }

  boolean isSet(String key) {
    JsonNode value = get(key);
    return !value.isMissingNode() && !value.isNull();
  }

  /** Refuses every value but these (as JSON text); a missing key is fine. */
  void only(String key, String... supported) {
    JsonNode value = get(key);
    if (!value.isMissingNode() && !List.of(supported).contains(value.toString())) {
      throw unsupported(key, value, String.join(" or ", supported));
    }
  }

  Problem unsupported(String key, JsonNode value, String supported) {
    return Problem.data(
        "%s: %s = %s is not supported, only %s".formatted(where, key, value, supported));
  }

  /** Refuses a list entry that is not among {@code supported}. */
  void each(String key, List<String> supported) {
    for (String name : names(key)) {
      if (!supported.contains(name)) {
        throw Problem.data(
            "%s: %s has %s, which is not supported, only %s"
                .formatted(where, key, name, String.join(", ", supported)));
      }
    }
  }

  Problem wrong(String message) {
    return Problem.data(where + ": " + message);
  }

  /** These keys say nothing about what is computed. */
  void ignore(String... keys) {
    seen.addAll(List.of(keys));
  }

  /** Refuses what is left over, unless it says null, false, or begins with an underscore. */
  void finish() {
    node.fields()
        .forEachRemaining(
            entry -> {
              JsonNode value = entry.getValue();
              boolean says = !value.isNull() && !(value.isBoolean() && !value.booleanValue());
              if (says && !entry.getKey().startsWith("_") && !seen.contains(entry.getKey())) {
                throw unsupported(entry.getKey(), value, "null, or leaving it out");
              }
            });
  }
}
