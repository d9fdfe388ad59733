package dreambooth4j.verify;

/**
 * One comparison.
 *
 * @param name the recorded tensor
 * @param measure what the error is relative to, in words
 * @param error what was found; not a number fails
 * @param limit what is allowed
 */
public record Check(String name, String measure, double error, double limit) {
  /** Whether the error is within the limit. */
  public boolean passes() {
    return error <= limit;
  }

  /** The larger of two errors; not a number is worse than any. */
  static double worse(double a, double b) {
    return Double.isNaN(a) || Double.isNaN(b) ? Double.NaN : Math.max(a, b);
  }
}
