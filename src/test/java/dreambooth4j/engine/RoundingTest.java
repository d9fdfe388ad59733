package dreambooth4j.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dreambooth4j.random.CounterRandom;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

class RoundingTest {
  private static final Rounding ROUNDING = new Rounding(CounterRandom.key(42, "rounding"), 1);

  private static float[] rounded(Arena arena, float[] values, long from, long step) {
    Tensor to = arena.allocate("to", DType.BF16, values.length);
    ROUNDING.round(arena.floats("values", values, values.length), to, from, step);
    Tensor wide = arena.allocate("wide", DType.F32, values.length);
    wide.copyFrom(to);
    return wide.toFloats();
  }

  @Test
  void shouldLeaveWhatBf16Holds() {
    float[] exact = {0, -0f, 1, -1.5f, 0x1p-126f, 0x1p-133f, 0x1.fep127f, 1 / 0f, -1 / 0f};
    try (Arena arena = Arena.open("test")) {
      assertThat(rounded(arena, exact, 0, 3)).containsExactly(exact);
      assertThat(rounded(arena, new float[] {Float.NaN}, 0, 3)[0]).isNaN();
    }
  }

  @Test
  void shouldGoUpWithTheProbabilityOfWhatIsCutOff() {
    float[] values = new float[100_003];
    Arrays.fill(values, -(1 + 0.3f * 0x1p-7f));
    try (Arena arena = Arena.open("test")) {
      float[] rounded = rounded(arena, values, 0, 1);
      int away = 0;
      for (float each : rounded) {
        assertThat(each).isIn(-1f, -(1 + 0x1p-7f));
        away += each == -1f ? 0 : 1;
      }
      assertThat((double) away / values.length).isCloseTo(0.3, within(0.01));
      assertThat(rounded(arena, values, 0, 2)).isNotEqualTo(rounded);
    }
  }

  /**
   * The rule of the kernels, by a cursor over the same draws; and no matter where a part begins.
   */
  @Test
  void shouldDrawForEachElementByItsPlaceAlone() {
    float[] values = new float[20_000];
    CounterRandom.at(1, "values", 0, 0).normal(values, 0, values.length);
    float[] expected = new float[values.length];
    CounterRandom random = CounterRandom.at(42, "rounding", 5, 1);
    int word = 0;
    for (int i = 0; i < values.length; i++) {
      word = i % 2 == 0 ? random.nextInt() : word >>> 16;
      int bits = Float.floatToRawIntBits(values[i]) + (word & 0xFFFF);
      expected[i] = Float.intBitsToFloat(bits & 0xFFFF0000);
    }
    try (Arena arena = Arena.open("test")) {
      assertThat(rounded(arena, values, 0, 5)).isEqualTo(expected);
      float[] part = Arrays.copyOfRange(values, 8_712, 17_001);
      assertThat(rounded(arena, part, 8_712, 5))
          .isEqualTo(Arrays.copyOfRange(expected, 8_712, 17_001));
    }
  }
}
