package dreambooth4j.config.imports;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dreambooth4j.Nearest;
import dreambooth4j.Printable;
import dreambooth4j.config.Key;
import dreambooth4j.config.KeyTable;
import dreambooth4j.config.KeyTable.Entry;
import dreambooth4j.config.KeyTable.Fate;
import dreambooth4j.config.Keys;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** A configuration in the making, and what became of each key that it is made from. */
final class Draft {
  private static final JsonMapper JSON = new JsonMapper();

  private final String trainer;
  private final KeyTable table;

  /** The folder that relative paths belong to. */
  private final Path folder;

  private final Map<String, String> values = new LinkedHashMap<>();
  private final List<Map<String, String>> concepts = new ArrayList<>();
  private final List<String> report = new ArrayList<>();

  Draft(String trainer, KeyTable table, Path folder) {
    this.trainer = trainer;
    this.table = table;
    this.folder = folder;
  }

  /** How a key is converted: sets what it asks for, and says what that is. */
  interface Converter {
    /**
     * Converts a value.
     *
     * @throws NotPossible if what it asks for is not done here
     */
    String convert(String value) throws NotPossible;
  }

  /** A value asks for what is not done here; the message says what to do instead. */
  static final class NotPossible extends Exception {
    private static final long serialVersionUID = 1L;

    NotPossible(String message) {
      super(message);
    }
  }

  /**
   * Takes a key.
   *
   * @param place where it stands, such as "subset 2: "; empty if there is only one place
   * @param converter how it is converted, if its fate is that
   */
  void take(String place, String name, String value, @Nullable Converter converter) {
    String given = place + name + " = " + Printable.shortened(value.isEmpty() ? "\"\"" : value);
    Entry entry = table.get(name);
    if (entry == null) {
      String guess =
          Nearest.word(name, table.entries().stream().map(Entry::name).toList())
              .map(near -> "; did you mean " + near + "?")
              .orElse("");
      say("unknown", given, "no key of " + trainer + " that is known here: it is left out" + guess);
      return;
    }
    Fate fate = entry.fate();
    if (fate != Fate.CONVERTED && fate != Fate.KEPT && entry.asksForNothing(value)) {
      say(Fate.UNNEEDED, given, "its value changes nothing");
    } else if (fate == Fate.UNNEEDED || fate == Fate.IMPOSSIBLE) {
      say(fate, given, entry.words());
    } else {
      try {
        String result = converter == null ? keep(entry.here(), value) : converter.convert(value);
        boolean same = converter == null && result.equals(name + ": " + value);
        say(converter == null ? Fate.KEPT : fate, given, same ? "" : result);
      } catch (NotPossible e) {
        say(Fate.IMPOSSIBLE, given, String.valueOf(e.getMessage()));
      }
    }
  }

  private String keep(String key, String value) throws NotPossible {
    if (value.isEmpty() || value.equalsIgnoreCase("none") || value.equals("null")) {
      return "left at its default";
    }
    return put(key, value);
  }

  /** Sets a key where its type takes the value, and returns both. */
  String put(String key, Object value) throws NotPossible {
    String text = value.toString();
    Optional<? extends Key<?, ?>> known =
        Keys.all().stream().filter(each -> each.name().equals(key)).findFirst();
    if (known.isEmpty()) {
      throw new IllegalArgumentException(key);
    }
    try {
      known.get().type().parser().parse(text, folder);
    } catch (IllegalArgumentException e) {
      throw new NotPossible(
          "%s takes %s here: choose one and set it".formatted(key, known.get().type().allowed()));
    }
    values.put(key, text);
    return key + ": " + text;
  }

  /** Sets a key that the file leaves out, where the other trainer's default is not ours. */
  void add(String key, Object value, String why) {
    if (!values.containsKey(key)) {
      try {
        say("added", put(key, value), why);
      } catch (NotPossible e) {
        say(Fate.IMPOSSIBLE, key + " = " + value, String.valueOf(e.getMessage()));
      }
    }
  }

  /** Whether a key is set. */
  boolean has(String key) {
    return values.containsKey(key);
  }

  /** The value of a key that is set; null if it is not. */
  @Nullable String get(String key) {
    return values.get(key);
  }

  /** Takes a key out again. */
  void remove(String key) {
    values.remove(key);
  }

  /** Adds a concept with its own keys. */
  void concept(Map<String, String> concept) {
    concepts.add(concept);
  }

  void say(Fate fate, String given, String text) {
    say(fate.toString(), given, text);
  }

  private void say(String fate, String given, String text) {
    report.add("%-12s  %s%s".formatted(fate, given, text.isEmpty() ? "" : "  ->  " + text));
  }

  /** A path of the file, from the root. */
  Path path(String text) throws NotPossible {
    try {
      return folder.resolve(text.replace('\\', '/')).toAbsolutePath().normalize();
    } catch (InvalidPathException e) {
      throw new NotPossible("it is no path: " + e.getReason());
    }
  }

  /** A path from the root if something lies there or it can be no name. */
  String pathOrName(String text) throws NotPossible {
    Path path = path(text);
    boolean name = text.matches("[\\w-][\\w.-]*(/[\\w-][\\w.-]*)?") && !Files.exists(path);
    return name ? text : path.toString();
  }

  /** What became of each key, a line each. */
  List<String> report() {
    return List.copyOf(report);
  }

  /** The configuration. */
  String yaml(String origin) {
    StringBuilder yaml = new StringBuilder("# Made from " + origin + " by dreambooth import.\n");
    values.forEach((key, value) -> yaml.append(line(key, value)));
    if (!concepts.isEmpty()) {
      yaml.append("concepts_list:\n");
    }
    for (Map<String, String> concept : concepts) {
      StringBuilder entry = new StringBuilder();
      concept.forEach((key, value) -> entry.append("  ").append(line(key, value)));
      yaml.append(entry.isEmpty() ? "- {}\n" : entry.replace(0, 1, "-"));
    }
    return yaml.toString();
  }

  private static String line(String key, String value) {
    boolean plain =
        value.matches("[\\w./+-]*[\\w/+-]") && !value.matches("(?i)null|~|yes|no|on|off|-.*");
    try {
      return key + ": " + (plain ? value : JSON.writeValueAsString(value)) + "\n";
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }
}
