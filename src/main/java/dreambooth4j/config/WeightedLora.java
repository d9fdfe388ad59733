package dreambooth4j.config;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.Function;

/**
 * A LoRA file that is added to a model, and how many times: written {@code FILE} or {@code
 * FILE:WEIGHT}.
 *
 * @param weight 1 as it was trained, 0 not at all
 */
public record WeightedLora(Path file, double weight) {
  /**
   * Reads one. A name is taken as it is where such a file is there, for it may hold a colon.
   *
   * @param path makes a path of its text
   * @throws IllegalArgumentException where what follows the file is no number: says so
   */
  public static WeightedLora parse(String text, Function<String, Path> path) {
    int colon = text.lastIndexOf(':');
    if (colon < 1 || Files.exists(path.apply(text))) {
      return new WeightedLora(path.apply(text), 1);
    }
    String weight = text.substring(colon + 1);
    Path file = path.apply(text.substring(0, colon));
    try {
      return new WeightedLora(file, Double.parseDouble(weight));
    } catch (NumberFormatException e) {
      if (Files.exists(file)) {
        throw new IllegalArgumentException(
            "'%s' is no weight of the LoRA %s: give a number, such as 0.7".formatted(weight, file),
            e);
      }
      return new WeightedLora(path.apply(text), 1);
    }
  }

  /** As it is written. */
  @Override
  public String toString() {
    return file + ":" + weight;
  }
}
