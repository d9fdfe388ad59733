package dreambooth4j.config;

import dreambooth4j.Problem;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * What becomes of the keys of another trainer when one of its files is imported. Each table is a
 * text beside this class: a line holds a fate, keys, the key here and words, separated by {@code
 * |}.
 */
public final class KeyTable {
  /** kohya's sd-scripts, the options of all its scripts for Stable Diffusion 1, 2 and SDXL. */
  public static final KeyTable KOHYA = read("kohya.txt");

  /** OneTrainer; keys of parts have dots, such as {@code unet.train}. */
  public static final KeyTable ONE_TRAINER = read("onetrainer.txt");

  /** What becomes of a key. */
  public enum Fate {
    /** The same value stands under the key here. */
    KEPT("kept"),
    /** What it asks for is said by other keys or another value. */
    CONVERTED("converted"),
    /** Nothing needs to be said for it. */
    UNNEEDED("not needed"),
    /** It asks for what is not done here. */
    IMPOSSIBLE("not possible");

    private final String words;

    Fate(String words) {
      this.words = words;
    }

    /** In words. */
    @Override
    public String toString() {
      return words;
    }
  }

  /**
   * One key.
   *
   * @param here the key here that says it; empty if there is none
   * @param words why, or how it is converted, or what to do instead; empty of keys that are kept
   * @param off a value with which it asks for nothing, beside false, 0 and none
   */
  public record Entry(String name, Fate fate, String here, String words, @Nullable String off) {
    /** Whether a value asks for nothing that would not be done without the key. */
    public boolean asksForNothing(String value) {
      String plain = value.strip().toLowerCase(Locale.ROOT);
      return (plain.matches("|false|none|null|0+(\\.0*)?|\\[]|\\{}")
              && !(off != null && off.equals("true")))
          || (off != null && off.equalsIgnoreCase(plain));
    }
  }

  private final Map<String, Entry> entries = new LinkedHashMap<>();

  private KeyTable() {}

  private static KeyTable read(String resource) {
    KeyTable table = new KeyTable();
    try (InputStream in = Objects.requireNonNull(KeyTable.class.getResourceAsStream(resource))) {
      String text = new String(in.readAllBytes(), StandardCharsets.UTF_8);
      text.lines().filter(line -> !line.startsWith("#")).forEach(table::add);
    } catch (IOException e) {
      throw new Problem(Problem.Kind.FAILED, resource + " of this program cannot be read", e);
    }
    return table;
  }

  private void add(String line) {
    String[] columns = line.split("\\|", -1);
    for (String name : columns[1].strip().split(" ", -1)) {
      int equals = name.indexOf('=');
      String key = equals < 0 ? name : name.substring(0, equals);
      Entry entry =
          new Entry(
              key,
              Fate.valueOf(columns[0].strip().toUpperCase(Locale.ROOT)),
              columns[2].strip(),
              columns[3].strip(),
              equals < 0 ? null : name.substring(equals + 1));
      if (entries.put(key, entry) != null) {
        throw new IllegalStateException(key + " stands twice in its table");
      }
    }
  }

  /** A key; null if the trainer has none of that name. */
  public @Nullable Entry get(String name) {
    return entries.get(name);
  }

  /** All keys, those of one line beside each other. */
  public Collection<Entry> entries() {
    return Collections.unmodifiableCollection(entries.values());
  }
}
