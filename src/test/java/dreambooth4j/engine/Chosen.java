package dreambooth4j.engine;

import java.util.List;
import java.util.Locale;

/** Test cases that {@code -Dop=NAME} asks for: all whose text contains the name; else all. */
public final class Chosen {
  private Chosen() {}

  /** Those of {@code all}, which must not be none. Case and underscores do not matter. */
  public static <T> List<T> among(List<T> all) {
    String name = System.getProperty("op", "");
    List<T> chosen = all.stream().filter(each -> bare(each).contains(bare(name))).toList();
    if (chosen.isEmpty()) {
      throw new IllegalArgumentException("-Dop=" + name + ": none of " + all);
    }
    return chosen;
  }

  private static String bare(Object text) {
    return text.toString().replace("_", "").toLowerCase(Locale.ROOT);
  }
}
