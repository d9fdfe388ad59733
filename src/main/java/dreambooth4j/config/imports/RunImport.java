package dreambooth4j.config.imports;

import dreambooth4j.config.imports.Draft.Converter;
import dreambooth4j.config.imports.Draft.NotPossible;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The keys of a run of another trainer, each with how it is converted. */
abstract class RunImport {
  final Draft draft;

  /** What the file says, in its order. */
  final Map<String, String> given;

  /** How keys are converted, by their names. */
  final Map<String, Converter> converters = new HashMap<>();

  private List<String> last = List.of();

  RunImport(Draft draft, Map<String, String> given) {
    this.draft = draft;
    this.given = given;
  }

  /**
   * Takes every key but those of {@code last}.
   *
   * @param first those that others are read by, or take the place of
   * @param last those that can be read once all else is known, by {@link #takeLast}
   */
  final void takeAll(List<String> first, List<String> last) {
    this.last = last;
    first.stream().filter(given::containsKey).forEach(this::take);
    given.keySet().stream()
        .filter(name -> !first.contains(name) && !last.contains(name))
        .forEach(this::take);
  }

  /** Takes the keys that were left for the end. */
  final void takeLast() {
    last.stream().filter(given::containsKey).forEach(this::take);
  }

  private void take(String name) {
    draft.take("", name, value(name), converters.get(name));
  }

  /** How a key is converted; null if it is not. */
  final @Nullable Converter converter(String name) {
    return converters.get(name);
  }

  /** What the file says of a key; empty if nothing. */
  final String value(String name) {
    return given.getOrDefault(name, "");
  }

  /** A number without its fraction. */
  static int whole(String text) throws NotPossible {
    return (int) number(text);
  }

  /** A number. */
  static double number(String text) throws NotPossible {
    try {
      return Double.parseDouble(text.strip());
    } catch (NumberFormatException e) {
      throw new NotPossible("it is no number: set it by hand");
    }
  }
}
