package dreambooth4j.config;

import dreambooth4j.Printable;
import dreambooth4j.config.Layer.Raw;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The values of a run or of a concept: the last layer that holds a key decides. What is wrong with
 * them, or means something else here, is noted as they are read.
 */
final class Values {
  private final List<Layer> layers;
  private final Context context;

  /** Values over these layers, weakest first. */
  Values(List<Layer> layers, Context context) {
    this.layers = layers;
    this.context = context;
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

  /** Whether a value, be it a default, is meant as in a db_config.json of the extension. */
  boolean isExtensions(Key<?, ?> key) {
    Raw raw = raw(key);
    return context.extension && (raw == null || !raw.isFlag());
  }

  /** The value, the default if nobody gave one, or null. */
  <T> @Nullable T orNull(Key<?, T> key) {
    Raw raw = raw(key);
    String text = raw == null ? null : raw.text();
    if (raw == null || text == null || meansUnset(key, text)) {
      return key.standard(context.defaults);
    }
    try {
      return key.type().parser().parse(text, raw.folder());
    } catch (IllegalArgumentException e) {
      error(
          "%s: found '%s', allowed is %s"
              .formatted(raw.at(key.name()), Printable.shortened(text), key.type().allowed()));
      return key.standard(context.defaults);
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

  /**
   * Steps from one time to the next; 0 where a number of epochs was asked for more strongly, so
   * that the default in steps does not win over it.
   */
  int steps(Key<?, Integer> steps, Key<?, Integer> epochs) {
    boolean byEpochs = outranks(epochs, steps) && get(epochs) > 0;
    return byEpochs ? 0 : get(steps);
  }

  /** What the output folder is called if nobody says it. */
  Path outputName() {
    return context.outputName;
  }

  /** A default path, which is relative to the file, or without one to the working folder. */
  Path inFolder(Path path) {
    return context.folder.resolve(path);
  }

  /** Notes what ends the reading: what is wrong and how to mend it. */
  void error(String line) {
    context.errors.add(line);
  }

  /** Notes what is said at the start: what means something else here. */
  void remark(String line) {
    context.remarks.add(line);
  }

  /** Remarks that a key somebody gave does nothing in this run, unless its value is the default. */
  <T> void remarkUseless(Key<?, T> key, String reasonAndWayOut) {
    T value = orNull(key);
    boolean standard = value == null || value.equals(key.standard(context.defaults));
    if (!standard && has(key) && !isExtensions(key)) {
      remark("%s: %s has no effect, as %s".formatted(key.name(), value, reasonAndWayOut));
    }
  }

  private static boolean meansUnset(Key<?, ?> key, String text) {
    ValueType.Kind kind = key.type().kind();
    return (kind == ValueType.Kind.TEXT || kind == ValueType.Kind.LIST) && text.isBlank();
  }
}
