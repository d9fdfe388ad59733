package dreambooth4j.config;

import java.math.BigDecimal;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * One key of the configuration: its names in files and on the command line, what it takes, what it
 * is if nobody says, what it does in words, and where it lies in its record. Reading, {@code
 * --help}, docs/configuration.md, config.yaml and what a resumed run is compared by all follow from
 * it.
 *
 * @param <R> the record it belongs to
 * @param <T> its value
 */
public final class Key<R, T> {
  /** The headings under which {@code --help} lists the keys. */
  public enum Group {
    GENERAL("General", false),
    MODEL("Model", true),
    DATA("Data", true),
    TRAINING("Training", true),
    LOSS("Loss and noise", true),
    LORA("LoRA", true),
    EMBEDDING("Textual inversion", true),
    COMPUTE("Device and precision", true),
    MEMORY("Memory", false),
    PRIOR_LOSS("Prior loss", true),
    SAMPLES("Samples", false),
    VALIDATION("Validation", false),
    OUTPUT("Output", false);

    private final String heading;
    private final boolean decides;

    Group(String heading, boolean decides) {
      this.heading = heading;
      this.decides = decides;
    }

    /** The heading in words. */
    public String heading() {
      return heading;
    }
  }

  private final Builder<R, T> parts;
  private final String help;

  private Key(Builder<R, T> parts, String help) {
    this.parts = parts;
    this.help = help;
  }

  /** The heading it stands under. */
  public Group group() {
    return parts.group;
  }

  /** Its name, the flag without the two dashes. */
  public String name() {
    return parts.name;
  }

  /** Other names for the same: what diffusers or the extension calls it. */
  public List<String> aliases() {
    return parts.aliases;
  }

  /** What it takes. */
  public ValueType<T> type() {
    return parts.type;
  }

  /** What it counts or measures, in the plural ("steps"); empty if that is nothing. */
  public String unit() {
    return parts.unit;
  }

  /** What it does and when to change it, understood by somebody who reads nothing else. */
  public String help() {
    return help;
  }

  /** Its default as a value's text, or null if it has none. */
  public @Nullable String defaultText() {
    T value = standard(Defaults.DREAMBOOTH4J);
    return value == null ? null : value.toString();
  }

  /** Its default for people: with its unit, or in words; empty if there is nothing to say. */
  public String defaultInWords() {
    return defaultInWords(Defaults.DREAMBOOTH4J);
  }

  /** The default of one of them, for people. */
  String defaultInWords(Defaults whose) {
    T value = standard(whose);
    String text = value == null ? "" : inWords(value);
    return text.isEmpty() ? parts.otherwise : text;
  }

  /** A value of it for people, with its unit. */
  String inWords(Object value) {
    String text = value instanceof Double number ? plain(number) : value.toString();
    String unit = text.equals("1") ? parts.unit.replaceFirst("(?<=ch)es$|s$", "") : parts.unit;
    return unit.isEmpty() || text.isEmpty() ? text : text + " " + unit;
  }

  /** Its default; null if it has none. */
  @Nullable T standard(Defaults whose) {
    return parts.standards.get(whose);
  }

  /**
   * Whether it has a part in the weights that a run comes to, so that a run that is resumed with
   * another value goes elsewhere.
   */
  boolean decides() {
    return parts.decides;
  }

  /** Its value in a record; null is none. */
  @Nullable T in(R subject) {
    return parts.getter.apply(subject);
  }

  @Override
  public String toString() {
    return name();
  }

  private static String plain(double number) {
    BigDecimal exact = BigDecimal.valueOf(number).stripTrailingZeros();
    int exponent = exact.precision() - exact.scale() - 1;
    return number == 0 || (exponent > -4 && exponent < 7)
        ? exact.toPlainString()
        : exact.scaleByPowerOfTen(-exponent).toPlainString() + "e" + exponent;
  }

  /** A key in the making; {@link #help} comes last. */
  static final class Builder<R, T> {
    private final Group group;
    private final Consumer<Key<R, ?>> home;
    private final String name;
    private final ValueType<T> type;
    private final Function<R, @Nullable T> getter;
    private final Map<Defaults, T> standards = new EnumMap<>(Defaults.class);
    private List<String> aliases = List.of();
    private String unit = "";
    private String otherwise = "";
    private boolean decides;

    /**
     * A key of a section.
     *
     * @param home gets the key
     */
    Builder(
        Group group,
        Consumer<Key<R, ?>> home,
        String name,
        ValueType<T> type,
        Function<R, @Nullable T> getter) {
      this.group = group;
      this.home = home;
      this.name = name;
      this.type = type;
      this.getter = getter;
      this.decides = group.decides;
    }

    /** Its default, where {@link #extension} and {@link #diffusers} do not name theirs. */
    Builder<R, T> standard(T value) {
      for (Defaults each : Defaults.values()) {
        standards.putIfAbsent(each, value);
      }
      return this;
    }

    /** The extension's default, if it is another one. */
    Builder<R, T> extension(T value) {
      standards.put(Defaults.EXTENSION, value);
      return this;
    }

    /** The default of diffusers' train_dreambooth.py, if it is another one. */
    Builder<R, T> diffusers(T value) {
      standards.put(Defaults.DIFFUSERS, value);
      return this;
    }

    /** What holds where nobody says anything and there is no default, in words. */
    Builder<R, T> otherwise(String words) {
      otherwise = words;
      return this;
    }

    /** What it counts or measures, in the plural. */
    Builder<R, T> unit(String words) {
      unit = words;
      return this;
    }

    /** Other names for the same. */
    Builder<R, T> alias(String... names) {
      aliases = List.of(names);
      return this;
    }

    /** Says that the weights of a run do not depend on it. */
    Builder<R, T> decidesNothing() {
      decides = false;
      return this;
    }

    /**
     * Makes the key.
     *
     * @param text what it does and when to change it, as whole sentences
     */
    Key<R, T> help(String text) {
      Key<R, T> key = new Key<>(this, text);
      home.accept(key);
      return key;
    }
  }
}
