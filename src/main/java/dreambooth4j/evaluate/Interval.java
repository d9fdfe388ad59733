package dreambooth4j.evaluate;

import dreambooth4j.random.CounterRandom;
import java.util.Arrays;
import java.util.function.ToDoubleFunction;

/**
 * A number that was measured over seeds, and where it would lie for others: the 2.5th and 97.5th
 * percentile of 1000 bootstrap samples of the seeds (Efron 1979).
 */
public record Interval(double value, double low, double high) {
  private static final int SAMPLES = 1000;
  private static final double TAIL = 0.025;

  /**
   * Measures over seeds.
   *
   * @param seeds how many there are, from 1
   * @param measure the number over these seeds, of which some may come more than once
   */
  static Interval over(int seeds, ToDoubleFunction<int[]> measure) {
    int[] each = new int[seeds];
    Arrays.setAll(each, i -> i);
    double[] sampled = new double[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) {
      CounterRandom random = CounterRandom.at(0, "bootstrap", i, 0);
      int[] drawn = new int[seeds];
      for (int k = 0; k < seeds; k++) {
        drawn[k] = random.uniformInt(seeds);
      }
      sampled[i] = measure.applyAsDouble(drawn);
    }
    Arrays.sort(sampled);
    return new Interval(
        measure.applyAsDouble(each),
        sampled[(int) (TAIL * SAMPLES)],
        sampled[(int) ((1 - TAIL) * SAMPLES) - 1]);
  }
}
