package dreambooth4j.config;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * A value of a resolved configuration and where it comes from.
 *
 * @param concept whose it is; empty for the whole run's
 * @param group heading that its key stands under
 * @param value as people read it, with its unit
 * @param origin file and line, or the flag, or {@link #DEFAULT}
 */
public record Setting(String concept, String group, String key, String value, String origin) {
  /** The origin of what nobody gave. */
  public static final String DEFAULT = "default";

  /**
   * All settings, those without a value left out.
   *
   * @param run what the run's keys were read from
   * @param concepts what those of each concept were read from; where several concepts come of one
   *     entry, what the run's were
   */
  static List<Setting> of(Config config, Values run, List<Values> concepts) {
    List<Setting> settings = new ArrayList<>();
    add(settings, "", Keys.valuesOf(config), run);
    boolean oneEach = concepts.size() == config.concepts().size();
    for (int i = 0; i < config.concepts().size(); i++) {
      ConceptConfig concept = config.concepts().get(i);
      add(settings, concept.name(), Keys.valuesOf(concept), oneEach ? concepts.get(i) : run);
    }
    return settings;
  }

  private static void add(
      List<Setting> settings, String concept, Map<Key<?, ?>, Object> values, Values from) {
    values.forEach(
        (key, value) -> {
          String text = key.inWords(value);
          if (text.isBlank()) {
            return;
          }
          Layer.Raw raw = from.raw(key);
          String origin = raw == null || raw.text() == null ? DEFAULT : raw.origin();
          settings.add(new Setting(concept, key.group().heading(), key.name(), text, origin));
        });
  }
}
