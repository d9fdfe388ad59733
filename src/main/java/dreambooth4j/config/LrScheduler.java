package dreambooth4j.config;

import java.util.Locale;

/**
 * How the learning rate changes with the step; names and meanings are diffusers' where it has one.
 */
public enum LrScheduler {
  /** Always the learning rate; no warm-up. */
  CONSTANT,
  /** A linear warm-up, then the learning rate. */
  CONSTANT_WITH_WARMUP,
  /** A linear warm-up, then linearly to 0 at the last step. */
  LINEAR,
  /** A linear warm-up, then half a cosine to 0 at the last step. */
  COSINE,
  /** A linear warm-up, then lr_num_cycles times half a cosine to 0. */
  COSINE_WITH_RESTARTS,
  /** A linear warm-up, then lr_num_cycles whole cosines, down and up again. */
  COSINE_WITH_SOFT_RESTARTS,
  /** A linear warm-up, then a polynomial of degree lr_power to 1e-7. */
  POLYNOMIAL,
  /** A linear warm-up, then a hyperbola that falls late (Chen et al., 2021), as OneTrainer's. */
  REX,
  /** A linear warm-up, then by the root of the steps, as transformers'. */
  INVERSE_SQRT,
  /** A linear warm-up, the learning rate, and a fall at the end, as transformers'. */
  WARMUP_STABLE_DECAY,
  /** What step_rules say; no warm-up. */
  PIECEWISE_CONSTANT;

  /** The name here of what other trainers call so. */
  static String name(String text) {
    String plain = text.toLowerCase(Locale.ROOT);
    return switch (plain) {
      case "linear_with_warmup" -> "linear";
      case "cosine_with_hard_restarts" -> "cosine_with_restarts";
      case "cosine_with_min_lr" -> "cosine";
      default -> plain;
    };
  }

  /** The name in configuration files. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
