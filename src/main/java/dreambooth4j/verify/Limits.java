package dreambooth4j.verify;

/** How far from the recorded numbers ours may be: rounding, and nothing else. */
final class Limits {
  static final double OUTPUT = 1e-5;
  static final double GRADIENT = 1e-4;
  static final double TRAINED = 1e-3;
  static final double OPTIMIZER = 1e-6;

  /**
   * With what is remembered in 8 bits: a second moment above 0 keeps its smallest code here, where
   * bitsandbytes lets it fall to 0 and divides by epsilon alone.
   */
  static final double IN_8_BITS = 2e-6;

  /** Of what is computed once from a few numbers: losses, noise, targets. */
  static final double OBJECTIVE = 2e-6;

  /** Of tables of what changes with the step, in double. */
  static final double SCHEDULE = 1e-9;

  private Limits() {}
}
