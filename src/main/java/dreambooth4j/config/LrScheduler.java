package dreambooth4j.config;

import java.util.Locale;

/** How the learning rate changes with the step; names and meanings are diffusers'. */
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
  /** A linear warm-up, then a polynomial of degree lr_power to 1e-7. */
  POLYNOMIAL;

  /** The name here of what diffusers or the extension calls so. */
  static String name(String text) {
    String plain = text.toLowerCase(Locale.ROOT);
    return plain.equals("linear_with_warmup") ? "linear" : plain;
  }

  /** The name in configuration files. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
