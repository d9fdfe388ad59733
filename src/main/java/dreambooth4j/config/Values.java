package dreambooth4j.config;

import dreambooth4j.config.Layer.Raw;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The values of a run or of a concept: the last layer that holds a key decides. */
final class Values {
  private final List<Layer> layers;
  private final boolean extension;
  private final List<String> errors;

  /**
   * Values over these layers, weakest first.
   *
   * @param extension whether the defaults are the extension's
   * @param errors where values that are not allowed are reported
   */
  Values(List<Layer> layers, boolean extension, List<String> errors) {
    this.layers = layers;
    this.extension = extension;
    this.errors = errors;
  }

  /** A value as it is written in the strongest layer that holds the key; null if none does. */
  @Nullable Raw raw(Key<?, ?> key) {
    int layer = layer(key);
    return layer < 0 ? null : layers.get(layer).get(key);
  }

  /** How strong the strongest layer is that holds the key: its place from 0 on; -1 if none does. */
  int layer(Key<?, ?> key) {
    for (int i = layers.size() - 1; i >= 0; i--) {
      if (layers.get(i).get(key) != null) {
        return i;
      }
    }
    return -1;
  }

  /**
   * Whether a stronger layer holds the key than any that holds another: a flag, say, over a file.
   */
  boolean outranks(Key<?, ?> key, Key<?, ?> other) {
    return layer(key) > layer(other);
  }

  /** Whether somebody gave a value. */
  boolean has(Key<?, ?> key) {
    Raw raw = raw(key);
    return raw != null && raw.text() != null && !meansUnset(key, raw.text());
  }

  /** The value, the default if nobody gave one, or null. */
  <T> @Nullable T orNull(Key<?, T> key) {
    Raw raw = raw(key);
    String text = raw == null ? null : raw.text();
    if (raw == null || text == null || meansUnset(key, text)) {
      return key.standard(extension);
    }
    try {
      return key.type().parser().parse(text, raw.folder());
    } catch (IllegalArgumentException e) {
      errors.add(
          "%s: found '%s', allowed is %s"
              .formatted(raw.at(key.name()), shorten(text), key.type().allowed()));
      return key.standard(extension);
    }
  }

  /** The value of a key that has a default. */
  <T> T get(Key<?, T> key) {
    T value = orNull(key);
    if (value == null) {
      throw new IllegalStateException(key.name() + " has no default");
    }
    return value;
  }

  private static boolean meansUnset(Key<?, ?> key, String text) {
    return key.type().kind() == ValueType.Kind.TEXT && text.isBlank();
  }

  static String shorten(String text) {
    return text.length() <= 60 ? text : text.substring(0, 60) + "…";
  }
}
