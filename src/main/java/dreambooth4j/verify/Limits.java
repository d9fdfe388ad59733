package dreambooth4j.verify;

/** How far from the recorded numbers ours may be: rounding, and nothing else. */
final class Limits {
  static final double OUTPUT = 1e-5;
  static final double GRADIENT = 1e-4;
  static final double TRAINED = 1e-3;
  static final double OPTIMIZER = 1e-6;

  /** Of what is computed once from a few numbers: losses, noise, targets. */
  static final double OBJECTIVE = 2e-6;

  private Limits() {}
}
