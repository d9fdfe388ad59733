package dreambooth4j.bench;

import dreambooth4j.Printable;
import java.util.List;
import org.apache.commons.math3.distribution.TDistribution;

/**
 * A mean with its 95 % interval by Student's t.
 *
 * @param half half of the interval's width; NaN of fewer than two values
 * @param count values that it is of
 */
record Estimate(double mean, double half, int count) {
  private static final double QUANTILE = 0.975;

  /** Of these values, those that are no numbers left out. */
  static Estimate of(List<Double> values) {
    double[] all = values.stream().mapToDouble(v -> v).filter(Double::isFinite).toArray();
    double mean = 0;
    for (double each : all) {
      mean += each / all.length;
    }
    if (all.length < 2) {
      return new Estimate(all.length == 0 ? Double.NaN : mean, Double.NaN, all.length);
    }
    double squares = 0;
    for (double each : all) {
      squares += (each - mean) * (each - mean);
    }
    double error = Math.sqrt(squares / (all.length - 1) / all.length);
    double t = new TDistribution(all.length - 1).inverseCumulativeProbability(QUANTILE);
    return new Estimate(mean, t * error, all.length);
  }

  /** 1 if the interval lies above 0, -1 if below, 0 if it holds 0 or there is none. */
  int sign() {
    return mean - half > 0 ? 1 : mean + half < 0 ? -1 : 0;
  }

  /** "−0.31 ± 0.05", to two digits after the point; "–" of no values. */
  @Override
  public String toString() {
    if (count == 0) {
      return "–";
    }
    String text = Printable.number(mean, 2);
    return Double.isFinite(half) ? text + " ± " + Printable.number(half, 2) : text;
  }
}
