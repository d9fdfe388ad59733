package dreambooth4j.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** AdamW with moments of 8 bits beside the exact one. */
class AdamWTest {
  private static final AdamW.Settings SETTINGS = new AdamW.Settings(0.9, 0.999, 1e-8, 0.01);

  /** Three parameters of odd sizes and magnitudes, one of them in several chunks. */
  private static Parameters parameters(Arena run) {
    Parameters parameters = new Parameters(DType.F32);
    parameters.declare("large", 97, 101);
    parameters.declare("one", 1);
    parameters.declare("conv", 5, 3, 3, 3);
    parameters.allocate(run, true);
    SplittableRandom random = new SplittableRandom(1);
    for (Parameter each : parameters.all()) {
      each.weight().copyFrom(normal(random, each.count(), 0.1));
    }
    return parameters;
  }

  private static float[] normal(SplittableRandom random, long count, double deviation) {
    float[] values = new float[(int) count];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (random.nextGaussian() * deviation);
    }
    return values;
  }

  @Test
  void shouldStayNearTheExactPathWithMomentsOf8Bits() {
    try (Arena run = Arena.open("run")) {
      Parameters exact = parameters(run);
      Parameters small = parameters(run);
      AdamW exactly = new AdamW(run, SETTINGS, List.of(exact), false);
      AdamW roughly = new AdamW(run, SETTINGS, List.of(small), true);
      float[] start = exact.weights().toFloats();
      SplittableRandom random = new SplittableRandom(2);
      for (int step = 0; step < 50; step++) {
        for (int i = 0; i < exact.all().size(); i++) {
          long count = exact.all().get(i).count();
          float[] gradient = normal(random, count, Math.pow(10, -2 * i));
          exact.all().get(i).gradient().copyFrom(gradient);
          small.all().get(i).gradient().copyFrom(gradient);
        }
        exactly.step(1e-3, 0.5);
        roughly.step(1e-3, 0.5);
        if (step == 0) { // nothing has been rounded yet
          assertThat(error(small, exact, start)).isLessThan(1e-5);
        }
      }
      assertThat(error(small, exact, start)).isLessThan(0.05);
    }
  }

  /** Of the way that the weights have gone. */
  private static double error(Parameters actual, Parameters expected, float[] start) {
    float[] a = actual.weights().toFloats();
    float[] e = expected.weights().toFloats();
    double error = 0;
    double moved = 0;
    for (int i = 0; i < start.length; i++) {
      error += Math.pow(a[i] - e[i], 2);
      moved += Math.pow(e[i] - start[i], 2);
    }
    assertThat(moved).isPositive();
    return Math.sqrt(error / moved);
  }

  @Test
  void shouldHoldAQuarterOfTheStates() {
    try (Arena run = Arena.open("run")) {
      Parameters parameters = parameters(run);
      long before = run.liveBytes();
      new AdamW(run, SETTINGS, List.of(parameters), true);
      long n = parameters.flatCount();
      assertThat(run.liveBytes() - before).isEqualTo(2 * n + 2 * 4 * n / 256 + 4);
    }
  }
}
