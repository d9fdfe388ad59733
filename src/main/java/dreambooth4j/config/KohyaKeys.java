package dreambooth4j.config;

import dreambooth4j.config.KeyTable.Entry;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;

/**
 * Keys of kohya's sd-scripts where a configuration of ours holds them, and TOML files of theirs.
 */
public final class KohyaKeys {
  private static final Pattern SECTION = Pattern.compile("\\[{1,2}[\\w.\\- ]+]{1,2}(\\s*#.*)?");
  private static final Pattern ASSIGNMENT = Pattern.compile("\\s*([A-Za-z_]\\w*)\\s*=.*");

  private KohyaKeys() {}

  /**
   * All of them that are no keys here: a command line takes them to be able to say what they are.
   */
  public static Set<String> names() {
    Set<String> names = new TreeSet<>();
    KeyTable.KOHYA.entries().forEach(entry -> names.add(entry.name()));
    names.removeAll(ConfigReader.knownNames());
    return names;
  }

  static boolean contains(String name) {
    return KeyTable.KOHYA.get(name) != null;
  }

  /** What to say instead of one of these keys. */
  static String hint(String name) {
    Entry entry = KeyTable.KOHYA.get(name);
    if (entry == null) {
      throw new IllegalArgumentException(name);
    }
    String how =
        entry.here().isEmpty()
            ? "this key of kohya's sd-scripts is not read; " + entry.words()
            : "kohya's %s is %s here%s"
                .formatted(
                    name, entry.here(), entry.words().isEmpty() ? "" : " (" + entry.words() + ")");
    return how + "; dreambooth import turns a whole file of kohya's into a configuration";
  }

  /** Whether a file is TOML: by its name, or because it begins as no YAML map does. */
  public static boolean isToml(Path file, String text) {
    if (String.valueOf(file.getFileName()).endsWith(".toml")) {
      return true;
    }
    return text.lines()
        .map(String::strip)
        .filter(line -> !line.isEmpty() && !line.startsWith("#"))
        .findFirst()
        .filter(line -> SECTION.matcher(line).matches() || ASSIGNMENT.matcher(line).matches())
        .isPresent();
  }
}
