package dreambooth4j.engine;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/** The rules that there are, by name: nothing else names one. */
public final class UpdateRules {
  /** What updates where nothing else is asked for, and what wrote checkpoints that name no rule. */
  public static final String DEFAULT = AdamW.NAME;

  private static final Map<String, Function<UpdateRule.Constants, UpdateRule>> ALL =
      new LinkedHashMap<>();

  static {
    ALL.put(AdamW.NAME, AdamW::new);
    ALL.put(Lion.NAME, Lion::new);
    ALL.put(Sgd.NAME, Sgd::new);
    ALL.put(Adafactor.NAME, Adafactor::new);
    ALL.put(Prodigy.NAME, Prodigy::new);
    ALL.put(ScheduleFree.NAME, ScheduleFree::new);
  }

  private UpdateRules() {}

  /** All names. */
  public static List<String> names() {
    return List.copyOf(ALL.keySet());
  }

  /** The names of those that have a kernel. */
  public static List<String> withKernels() {
    UpdateRule.Constants any = new UpdateRule.Constants(0, 0, 1, 0);
    return names().stream().filter(name -> named(name, any).hasKernel()).toList();
  }

  /** The rule of this name, one of {@link #names}. */
  public static UpdateRule named(String name, UpdateRule.Constants constants) {
    Function<UpdateRule.Constants, UpdateRule> make = ALL.get(name);
    if (make == null) {
      throw new IllegalArgumentException("no optimizer is called " + name + ": " + names());
    }
    return make.apply(constants);
  }
}
