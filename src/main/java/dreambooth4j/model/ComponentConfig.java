package dreambooth4j.model;

import com.fasterxml.jackson.databind.JsonNode;
import dreambooth4j.Printable;
import dreambooth4j.Problem;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Reads a component's config.json: what is used is asked for with its default, what must have one
 * value is required to, and what is left over may say nothing but null or false. So no setting is
 * passed over in silence.
 */
final class ComponentConfig {
  /** Channels, the width of a prompt's states and whatever else is a side of a weight. */
  static final int MOST_CHANNELS = 1 << 16;

  /** Layers in a row: of a level, of an attention, of a text encoder. */
  static final int MOST_LAYERS = 128;

  private static final int MOST_LEVELS = 8;

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

  /** A number from 1 to {@code most}, which is far above every model that there is. */
  int integer(String key, int otherwise, int most) {
    JsonNode value = get(key);
    return value.isMissingNode() || value.isNull() ? otherwise : positive(key, value, most);
  }

  private int positive(String key, JsonNode value, int most) {
    if (!value.isInt() || value.intValue() <= 0 || value.intValue() > most) {
      throw Problem.data(
          "%s: %s must be a whole number from 1 to %d, found %s"
              .formatted(where, key, most, Printable.shortened(value)));
    }
    return value.intValue();
  }

  /** A number within bounds that computing in 32 bits can take. */
  double number(String key, double otherwise, double least, double most) {
    JsonNode value = get(key);
    if (value.isMissingNode() || value.isNull()) {
      return otherwise;
    }
    if (!value.isNumber() || !(value.doubleValue() >= least && value.doubleValue() <= most)) {
      throw Problem.data(
          "%s: %s must be a number from %s to %s, found %s"
              .formatted(where, key, least, most, Printable.shortened(value)));
    }
    return value.doubleValue();
  }

  boolean flag(String key, boolean otherwise) {
    JsonNode value = get(key);
    if (value.isMissingNode() || value.isNull()) {
      return otherwise;
    }
    if (!value.isBoolean()) {
      throw Problem.data(
          "%s: %s must be true or false, found %s"
              .formatted(where, key, Printable.shortened(value)));
    }
    return value.booleanValue();
  }

  String text(String key, String otherwise) {
    JsonNode value = get(key);
    return value.isMissingNode() || value.isNull() ? otherwise : value.asText();
  }

  /** A list of numbers from 1 to {@code most}, one for each level. */
  List<Integer> integers(String key, int most) {
    List<Integer> list = new ArrayList<>();
    list(key).forEach(each -> list.add(positive(key, each, most)));
    return list;
  }

  private JsonNode list(String key) {
    JsonNode value = get(key);
    if (!value.isArray() || value.isEmpty() || value.size() > MOST_LEVELS) {
      String found = value.isArray() ? value.size() + " entries" : Printable.shortened(value);
      throw Problem.data(
          "%s: %s must be a list of 1 to %d entries, one for each level, found %s"
              .formatted(where, key, MOST_LEVELS, found));
    }
    return value;
  }

  /** A list of {@code length} positive numbers, or one that stands for all. */
  List<Integer> integersOrOne(String key, int length, int otherwise, int most) {
    JsonNode value = get(key);
    List<Integer> list =
        value.isArray()
            ? integers(key, most)
            : Collections.nCopies(length, integer(key, otherwise, most));
    if (list.size() != length) {
      throw Problem.data(
          "%s: %s has %d entries, but there are %d levels"
              .formatted(where, key, list.size(), length));
    }
    return list;
  }

  /** A list of names. */
  List<String> names(String key) {
    List<String> list = new ArrayList<>();
    list(key).forEach(each -> list.add(each.asText()));
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
        "%s: %s = %s is not supported, only %s"
            .formatted(where, Printable.shortened(key), Printable.shortened(value), supported));
  }

  /** Refuses a list entry that is not among {@code supported}. */
  void each(String key, List<String> supported) {
    for (String name : names(key)) {
      if (!supported.contains(name)) {
        throw Problem.data(
            "%s: %s has %s, which is not supported, only %s"
                .formatted(where, key, Printable.shortened(name), String.join(", ", supported)));
      }
    }
  }

  /** Group normalisation has groups of as many channels each. */
  void requireGroups(List<Integer> channels, int groups) {
    for (int each : channels) {
      if (each % groups != 0) {
        throw wrong(
            "norm_num_groups %d does not divide block_out_channels %d".formatted(groups, each));
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
