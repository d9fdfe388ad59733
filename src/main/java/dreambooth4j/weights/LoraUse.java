package dreambooth4j.weights;

import dreambooth4j.Problem;
import java.nio.file.Path;

/**
 * A LoRA that a model is used with.
 *
 * @param file of any naming
 * @param strength how many times its changes are added: 1 as it was trained, 0 not at all
 */
public record LoraUse(Path file, double strength) {
  /** More is a mistake, and would be numbers without end before long. */
  private static final double MOST = 100;

  /** Checks the strength. */
  public LoraUse {
    if (!(Math.abs(strength) <= MOST)) {
      throw Problem.usage(
          "%s: the weight of a LoRA must be a number from -%.0f to %.0f, found %s"
              .formatted(file, MOST, MOST, strength));
    }
  }
}
