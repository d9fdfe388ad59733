package dreambooth4j.config;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What decides the weights that a run comes to, so that a resumed run can be compared with the one
 * it goes on from. Where pictures lie decides nothing; what they are is compared by itself.
 */
public final class DecidingKeys {
  private DecidingKeys() {}

  /** The value of each such key; those of one of several concepts have its name before theirs. */
  public static Map<String, String> of(Config config) {
    Map<String, String> texts = new LinkedHashMap<>();
    put(texts, "", Keys.ofRun(), Keys.valuesOf(config));
    for (ConceptConfig concept : config.concepts()) {
      String prefix = config.concepts().size() == 1 ? "" : concept.name() + " ";
      put(texts, prefix, Keys.ofConcept(), Keys.valuesOf(concept));
    }
    return texts;
  }

  private static void put(
      Map<String, String> texts,
      String prefix,
      List<Key<?, ?>> keys,
      Map<Key<?, ?>, Object> values) {
    for (Key<?, ?> key : keys) {
      if (key.decides()) {
        texts.put(prefix + key.name(), String.valueOf(values.getOrDefault(key, "")));
      }
    }
  }
}
