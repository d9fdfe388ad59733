package dreambooth4j.config;

import java.util.Locale;

/**
 * The moving average of the trained weights.
 *
 * @param used whether one is kept; then it is what is saved
 * @param decay how much of it stays in each step, at most
 * @param warmup how the decay rises to that
 * @param invGamma of {@link Warmup#POWER}: the larger, the slower
 * @param power of {@link Warmup#POWER}: the larger, the faster
 */
public record EmaConfig(boolean used, double decay, Warmup warmup, double invGamma, double power) {
  /** How the decay rises with the number of steps. */
  public enum Warmup {
    /** Not at all: it is constant, as the extension has it. */
    NONE,
    /** (1 + s) / (10 + s), as diffusers' text-to-image script has it. */
    RATIO,
    /** 1 − (1 + s / invGamma)^−power, as diffusers' unconditional script has it. */
    POWER;

    /** The name in configuration files. */
    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }
}
