package dreambooth4j.diffusion;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import java.util.function.DoubleUnaryOperator;

/**
 * How likely each timestep is drawn in training, as a table: the chance of a draw at or below each.
 * A draw is the first timestep whose chance is above a number from 0 to 1 ({@code
 * engine.op.NoiseTarget}). Timesteps run over a range; x is the place in it, from 0 to 1.
 */
public final class TimestepDistribution {
  private final double[] chances;

  private TimestepDistribution(double[] chances) {
    this.chances = chances;
  }

  /**
   * The range of timesteps that are drawn.
   *
   * @param least the first
   * @param end the one behind the last
   * @param shift moves timesteps t of all T towards the noise, to T·s·t / ((s − 1)·t + T); 1 leaves
   *     them
   */
  public record Range(int all, int least, int end, double shift) {
    /** All of them. */
    public static Range of(int all) {
      return new Range(all, 0, all, 1);
    }

    /** Where in the range, from 0 to 1, a timestep lies before it is shifted. */
    private double place(double shifted) {
      double t = all * shifted / (all * shift - (shift - 1) * shifted);
      return Math.min(1, Math.max(0, (t - least) / (end - least)));
    }
  }

  /** Each alike. */
  public static TimestepDistribution uniform(Range range) {
    return of(range, x -> x);
  }

  /** A logistic curve of normal draws: x = 1/(1 + exp(−(bias + (weight + 1)·normal))). */
  public static TimestepDistribution logitNormal(Range range, double bias, double weight) {
    return of(range, x -> normalBelow((Math.log(x / (1 - x)) - bias) / (weight + 1)));
  }

  /** x = 1 − u − weight·(cos²(πu/2) − 1 + u) with u even from 0 to 1; weight up to 1.75. */
  public static TimestepDistribution heavyTail(Range range, double weight) {
    return of(
        range,
        x -> {
          double low = 0;
          double high = 1;
          for (int i = 0; i < 60; i++) {
            double u = (low + high) / 2;
            double cosine = Math.cos(Math.PI / 2 * u);
            if (1 - u - weight * (cosine * cosine - 1 + u) < x) {
              high = u;
            } else {
              low = u;
            }
          }
          return 1 - high;
        });
  }

  /** In proportion to a weight of each timestep's place, whose range ends at its last timestep. */
  public static TimestepDistribution weighted(Range range, DoubleUnaryOperator weight) {
    int count = range.end - range.least;
    double[] sums = new double[count + 1];
    for (int i = 0; i < count; i++) {
      sums[i + 1] = sums[i] + weight.applyAsDouble(i / Math.max(1.0, count - 1));
    }
    return of(
        range,
        x -> {
          int i = (int) Math.min(count - 1, x * count);
          return (sums[i] + (sums[i + 1] - sums[i]) * (x * count - i)) / sums[count];
        });
  }

  /** OneTrainer's sigmoid weight of a place. */
  public static DoubleUnaryOperator sigmoid(double bias, double weight) {
    return x -> 1 / (1 + Math.exp(-weight * (x - bias - 0.5)));
  }

  /** OneTrainer's inverted parabola. */
  public static DoubleUnaryOperator invertedParabola(double bias, double weight) {
    return x -> Math.max(0, 2 - weight * (x - bias - 0.5) * (x - bias - 0.5));
  }

  /** Of Stable Diffusion 3 (Esser et al., 2024): most in the middle. */
  public static double cosMap(double x) {
    return 2 / (Math.PI - 2 * Math.PI * x + 2 * Math.PI * x * x);
  }

  /** {@code below} gives the chance of a place below x. */
  private static TimestepDistribution of(Range range, DoubleUnaryOperator below) {
    double[] chances = new double[range.all];
    for (int t = 0; t < chances.length; t++) {
      double x = range.place(t + 1);
      chances[t] = x == 0 ? 0 : x == 1 ? 1 : below.applyAsDouble(x);
    }
    return new TimestepDistribution(chances);
  }

  /**
   * The chance that a normal draw is below x (Marsaglia, 2004): exact to a double's last digits.
   */
  public static double normalBelow(double x) {
    if (Math.abs(x) > 8) {
      return x < 0 ? 0 : 1;
    }
    double sum = x;
    double before = 0;
    double term = x;
    for (int i = 1; sum != before; i++) {
      before = sum;
      term *= x * x / (2 * i + 1);
      sum += term;
    }
    return 0.5 + sum * Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);
  }

  /** The chance of each timestep or one below, which ends with 1; a copy. */
  public double[] chances() {
    return chances.clone();
  }

  /** {@link #chances}: F64 [timesteps] in {@code arena}. */
  public Tensor table(Arena arena) {
    Tensor table = arena.allocate("chances of timesteps", DType.F64, chances.length);
    table.copyFrom(chances);
    return table;
  }
}
