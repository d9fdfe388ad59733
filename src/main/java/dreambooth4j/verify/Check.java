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

  /** 1 at the limit; infinite where the error is not a number, or not 0 though it has to be. */
  double shareOfLimit() {
    if (error == 0) {
      return 0;
    }
    return Double.isNaN(error) ? Double.POSITIVE_INFINITY : error / limit;
  }

  /** The larger of two errors; not a number is worse than any. */
  static double worse(double a, double b) {
    return Double.isNaN(a) || Double.isNaN(b) ? Double.NaN : Math.max(a, b);
  }
}
