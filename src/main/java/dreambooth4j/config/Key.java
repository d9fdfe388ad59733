package dreambooth4j.config;

import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * One key of the configuration: its name in files and on the command line, what it takes, what it
 * is if nobody says, and where it lies in the records.
 *
 * @param <S> the record it belongs to: {@link Config} or {@link ConceptConfig}
 * @param <T> its value
 */
public final class Key<S, T> {
  /** The headings under which {@code --help} lists the keys. */
  public enum Group {
    MODEL("Model"),
    DATA("Data"),
    TRAINING("Training"),
    COMPUTE("Device and precision"),
    MEMORY("Memory"),
    PRIOR_LOSS("Prior loss"),
    SAMPLES("Samples"),
    OUTPUT("Output");

    private final String heading;

    Group(String heading) {
      this.heading = heading;
    }

    /** The heading in words. */
    public String heading() {
      return heading;
    }
  }

  private final Group group;
  private final String name;
  private final ValueType<T> type;
  private final @Nullable T standard;
  private final @Nullable T extensionStandard;
  private final String description;
  private final Function<S, @Nullable T> getter;
  private final List<String> aliases;

  Key(
      Group group,
      String name,
      ValueType<T> type,
      @Nullable T standard,
      @Nullable T extensionStandard,
      String description,
      Function<S, @Nullable T> getter,
      String... aliases) {
    this.group = group;
    this.name = name;
    this.type = type;
    this.standard = standard;
    this.extensionStandard = extensionStandard;
    this.description = description;
    this.getter = getter;
    this.aliases = List.of(aliases);
  }

  /** The heading it stands under. */
  public Group group() {
    return group;
  }

  /** Its name, the flag without the two dashes. */
  public String name() {
    return name;
  }

  /** Other names for the same: what diffusers or the extension calls it. */
  public List<String> aliases() {
    return aliases;
  }

  /** What it takes. */
  public ValueType<T> type() {
    return type;
  }

  /** One line on what it does. */
  public String description() {
    return description;
  }

  /** Its default as text, or null if it has none. */
  public @Nullable String defaultText() {
    return standard == null ? null : standard.toString();
  }

  /** Its default here, or in the extension, whose db_config.json files rely on its own. */
  @Nullable T standard(boolean extension) {
    return extension ? extensionStandard : standard;
  }

  /** Its value in a record; null is none. */
  @Nullable T in(S subject) {
    return getter.apply(subject);
  }
}
