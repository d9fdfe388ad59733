package dreambooth4j.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Lion's arithmetic against its definition, in float64 by plain loops. */
class LionTest {
  private static final double BETA1 = 0.9;
  private static final double BETA2 = 0.99;
  private static final double DECAY = 0.1;
  private static final double RATE = 1e-3;
  private static final int STEPS = 20;

  private static final UpdateRule LION =
      UpdateRules.named("Lion", new UpdateRule.Constants(BETA1, BETA2, 1e-8, DECAY));

  /** The published steps on gradients clipped to a norm of {@code maxNorm}, 0 for none. */
  private static double[] defined(double[] start, double[][] gradients, double maxNorm) {
    double[] w = start.clone();
    double[] mean = new double[w.length];
    for (double[] all : gradients) {
      double squares = 0;
      for (double each : all) {
        squares += each * each;
      }
      double clip = maxNorm == 0 ? 1 : Math.min(1, maxNorm / (Math.sqrt(squares) + 1e-6));
      for (int i = 0; i < w.length; i++) {
        double g = clip * all[i];
        w[i] -= (float) RATE * (DECAY * w[i] + Math.signum(BETA1 * mean[i] + (1 - BETA1) * g));
        mean[i] = BETA2 * mean[i] + (1 - BETA2) * g;
      }
    }
    return w;
  }

  private static double[] normal(SplittableRandom random, int count) {
    double[] values = new double[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  private static float[] floats(double[] values) {
    float[] floats = new float[values.length];
    for (int i = 0; i < values.length; i++) {
      floats[i] = (float) values[i];
    }
    return floats;
  }

  @ParameterizedTest
  @CsvSource({"0,1", "5,1", "5,1024"})
  void shouldStepAsItIsDefined(double maxNorm, double lossScale) {
    int count = 1000;
    SplittableRandom random = new SplittableRandom(1);
    double[] start = normal(random, count);
    double[][] gradients = new double[STEPS][];
    try (Arena run = Arena.open("run")) {
      Parameters group = new Parameters(DType.F32);
      Parameter weight = group.declare("w", count);
      group.allocate(run, true);
      weight.weight().copyFrom(floats(start));
      Optimizer optimizer =
          new PlainOptimizer(
              run,
              LION,
              Optimizer.Group.alike(List.of(group)),
              new Optimizer.Options(maxNorm, false, 0));
      UpdateScalars scalars = new UpdateScalars(run).write(RATE, lossScale);
      for (int step = 0; step < STEPS; step++) {
        gradients[step] = normal(random, count);
        float[] scaled = floats(gradients[step]);
        for (int i = 0; i < count; i++) {
          scaled[i] *= (float) lossScale;
        }
        weight.gradient().copyFrom(scaled);
        scalars.update(optimizer);
      }
      float[] ours = weight.weight().toFloats();
      double[] expected = defined(start, gradients, maxNorm);
      for (int i = 0; i < count; i++) {
        assertThat((double) ours[i]).isCloseTo(expected[i], within(2e-6));
      }
      assertThat(group.weights().toFloats()).endsWith(new float[96]); // what fills no slice
    }
  }

  /** In 8 bits the first step loses nothing; the mean stays near the exact one. */
  @Test
  void shouldRememberOneNumberAWeightInFourBytesOrInOne() {
    try (Arena run = Arena.open("run")) {
      Parameters exact = group(run);
      Parameters coarse = group(run);
      long before = run.meter().liveBytes();
      Optimizer full = optimizer(run, exact, false);
      long afterFull = run.meter().liveBytes();
      Optimizer coded = optimizer(run, coarse, true);
      long n = exact.flatCount();
      assertThat(afterFull - before).isEqualTo(4 * n + 4);
      assertThat(run.meter().liveBytes() - afterFull).isEqualTo(n + 4 * n / 256 + 4);
      UpdateScalars scalars = new UpdateScalars(run).write(RATE, 1);
      SplittableRandom random = new SplittableRandom(2);
      for (int step = 0; step < STEPS; step++) {
        float[] drawn = floats(normal(random, 3000));
        exact.all().get(0).gradient().copyFrom(drawn);
        coarse.all().get(0).gradient().copyFrom(drawn);
        scalars.update(full);
        scalars.update(coded);
        if (step == 0) {
          assertThat(coarse.weights().toFloats()).isEqualTo(exact.weights().toFloats());
        }
      }
      assertThat(distance(coded.states().get(0).moments().get(0), full)).isLessThan(0.05);
    }
  }

  private static Parameters group(Arena run) {
    Parameters group = new Parameters(DType.F32);
    group.declare("w", 3000);
    group.allocate(run, true);
    return group;
  }

  private static Optimizer optimizer(Arena run, Parameters group, boolean in8Bits) {
    return new PlainOptimizer(
        run, LION, Optimizer.Group.alike(List.of(group)), new Optimizer.Options(0, in8Bits, 0));
  }

  /** Of a mean in 8 bits from the exact one, relative. */
  private static double distance(Moment coded, Optimizer exact) {
    float[] expected = exact.states().get(0).moments().get(0).values().toFloats();
    Tensor scales = java.util.Objects.requireNonNull(coded.scales());
    float[] scale = scales.toFloats();
    java.nio.ByteBuffer codes = coded.values().bytes(0, expected.length);
    double off = 0;
    double all = 0;
    for (int i = 0; i < expected.length; i++) {
      double value = coded.code().value(codes.get(i)) * scale[i / StateTensor.BLOCK];
      off += Math.pow(value - expected[i], 2);
      all += Math.pow(expected[i], 2);
    }
    return Math.sqrt(off / all);
  }
}
