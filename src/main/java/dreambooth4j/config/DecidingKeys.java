package dreambooth4j.config;

import dreambooth4j.config.Key.Group;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What decides the weights that a run comes to, so that a resumed run can be compared with the one
 * it goes on from. Where pictures lie decides nothing; what they are is compared by itself.
 */
public final class DecidingKeys {
  private static final Set<Group> GROUPS =
      Set.of(Group.MODEL, Group.DATA, Group.TRAINING, Group.COMPUTE, Group.PRIOR_LOSS);

  private static final Set<String> DECIDE_NOTHING =
      Set.of(
          ConceptKeys.INSTANCE_DATA_DIR.name(),
          ConceptKeys.CLASS_DATA_DIR.name(),
          ComputeKeys.DEVICE.name(),
          Keys.SAMPLE_BATCH_SIZE.name());

  private DecidingKeys() {}

  /** The value of each such key; those of one of several concepts have its name before theirs. */
  public static Map<String, String> of(Config config) {
    Map<String, String> values = new LinkedHashMap<>();
    put(values, "", Keys.ofRun(), config);
    for (ConceptConfig concept : config.concepts()) {
      String prefix = config.concepts().size() == 1 ? "" : concept.name() + " ";
      put(values, prefix, ConceptKeys.all(), concept);
    }
    return values;
  }

  private static <S> void put(
      Map<String, String> values, String prefix, List<Key<S, ?>> keys, S subject) {
    for (Key<S, ?> key : keys) {
      if (GROUPS.contains(key.group()) && !DECIDE_NOTHING.contains(key.name())) {
        Object value = key.in(subject);
        values.put(prefix + key.name(), value == null ? "" : value.toString());
      }
    }
  }
}
