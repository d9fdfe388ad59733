package dreambooth4j.config;

import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Values as one source gives them: the top level of a file, an entry of its concepts_list, or the
 * flags. Keys are under their own names, aliases resolved.
 */
final class Layer {
  /**
   * A value as it is written.
   *
   * @param text null if the key is there with no value
   * @param origin file and line, or the flag, for messages
   * @param folder what paths are relative to
   */
  record Raw(@Nullable String text, String origin, Path folder) {
    /** Whether it was given on the command line. */
    boolean isFlag() {
      return origin.startsWith("--");
    }

    /** Where a key stands, for a message about its value; a flag is its own place. */
    String at(String key) {
      return isFlag() ? origin : origin + ": " + key;
    }
  }

  private final Map<String, Raw> values = new HashMap<>();

  /** Puts a value; returns the one that was there before. */
  @Nullable Raw put(Key<?, ?> key, Raw value) {
    return values.put(key.name(), value);
  }

  @Nullable Raw get(Key<?, ?> key) {
    return values.get(key.name());
  }
}
