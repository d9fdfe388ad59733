package dreambooth4j.engine.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.kernel.NoiseKernels;
import dreambooth4j.random.CounterRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The plain form; the kernel's is held against the same formulas by {@code NoiseChecks}. */
class NoiseTargetTest {
  private static final double[] ALPHA_BAR = {0.9, 0.25};

  private static Tensor roots(Arena arena) {
    float[] roots = new float[4];
    for (int t = 0; t < 2; t++) {
      roots[2 * t] = (float) Math.sqrt(ALPHA_BAR[t]);
      roots[2 * t + 1] = (float) Math.sqrt(1 - ALPHA_BAR[t]);
    }
    return arena.floats("roots", roots, 2, 2);
  }

  private static Tensor ints(Arena arena, int... values) {
    Tensor tensor = arena.allocate("row index", DType.I32, values.length);
    tensor.copyFrom(values);
    return tensor;
  }

  /** So many timesteps, each alike. */
  private static Tensor even(Arena arena, int count) {
    Tensor chances = arena.allocate("chances", DType.F64, count);
    double[] values = new double[count];
    for (int t = 0; t < count; t++) {
      values[t] = (t + 1.0) / count;
    }
    chances.copyFrom(values);
    return chances;
  }

  /** Runs of earlier versions draw the same timesteps. */
  @Test
  void shouldDrawEvenTimestepsAsWholeNumbersAreDrawn() {
    try (Arena arena = Arena.open("test")) {
      int[] rows = java.util.stream.IntStream.range(0, 5000).toArray();
      Tensor drawn = arena.longs("t", new long[rows.length], rows.length);
      Tensor step = arena.longs("step", new long[] {3}, 1);
      NoiseTarget.timesteps(
          arena, ints(arena, rows), step, drawn, CounterRandom.key(7, "t"), even(arena, 1000));
      long[] expected = new long[rows.length];
      for (int i = 0; i < rows.length; i++) {
        expected[i] = CounterRandom.at(7, "t", 3, i).uniformInt(1000);
      }
      assertThat(drawn.toLongs()).isEqualTo(expected);
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void shouldNoiseEachRowByItsOwnTimestep(boolean velocity) {
    try (Arena arena = Arena.open("test")) {
      float[] x = {1, 2, 3, 4};
      float[] e = {-1, 1, 0.5f, -2};
      NoiseTarget.Result result =
          NoiseTarget.apply(
              arena,
              new NoiseKernels.Noise(1, 2, 0, arena.floats("e", e, 2, 1, 1, 2), null),
              arena.floats("x0", x, 2, 1, 1, 2),
              arena.longs("t", new long[] {0, 1}, 2),
              roots(arena),
              ints(arena, 0, 1),
              arena.longs("step", new long[] {0}, 1),
              velocity);
      for (int i = 0; i < 4; i++) {
        double a = Math.sqrt(ALPHA_BAR[i / 2]);
        double s = Math.sqrt(1 - ALPHA_BAR[i / 2]);
        assertThat((double) result.noisy().toFloats()[i])
            .isCloseTo(a * x[i] + s * e[i], within(1e-6));
        assertThat((double) result.target().toFloats()[i])
            .isCloseTo(velocity ? a * e[i] - s * x[i] : e[i], within(1e-6));
      }
      result.noisy().release();
      result.target().release();
      assertThat(arena.meter().liveCount()).isEqualTo(6);
    }
  }

  @Test
  void shouldShiftEveryPictureAndChannelByItsOwnDraw() {
    try (Arena arena = Arena.open("test")) {
      Tensor noise = arena.zeros("noise", DType.F32, 2, 1, 2, 3);
      Tensor shifts = arena.floats("shifts", new float[] {1, 2, 3, 4, 5, 6}, 2, 3);
      NoiseTarget.Result result =
          NoiseTarget.apply(
              arena,
              new NoiseKernels.Noise(1, 2, 0.5, noise, shifts),
              arena.zeros("x0", DType.F32, 2, 1, 2, 3),
              arena.longs("t", new long[] {0, 0}, 2),
              roots(arena),
              ints(arena, 0, 1),
              arena.longs("step", new long[] {0}, 1),
              false);
      assertThat(result.target().toFloats())
          .containsExactly(.5f, 1, 1.5f, .5f, 1, 1.5f, 2, 2.5f, 3, 2, 2.5f, 3);
    }
  }

  @Test
  void shouldDrawByKeyStepAndRowIndex() {
    try (Arena arena = Arena.open("test")) {
      Tensor rows = ints(arena, 4, 7);
      Tensor step = arena.longs("step", new long[] {11}, 1);
      Tensor timesteps = arena.longs("t", new long[2], 2);
      NoiseTarget.timesteps(
          arena, rows, step, timesteps, CounterRandom.key(3, "t"), even(arena, 2));
      assertThat(timesteps.toLongs())
          .containsExactly(
              CounterRandom.at(3, "t", 11, 4).uniformInt(2),
              CounterRandom.at(3, "t", 11, 7).uniformInt(2));
      NoiseTarget.Result result =
          NoiseTarget.apply(
              arena,
              new NoiseKernels.Noise(CounterRandom.key(3, "noise"), 0, 0, null, null),
              arena.zeros("x0", DType.F32, 2, 1, 3, 1),
              timesteps,
              roots(arena),
              rows,
              step,
              false);
      float[] expected = new float[6];
      CounterRandom.at(3, "noise", 11, 4).normal(expected, 0, 3);
      CounterRandom.at(3, "noise", 11, 7).normal(expected, 3, 3);
      assertThat(result.target().toFloats()).isEqualTo(expected);
    }
  }
}
