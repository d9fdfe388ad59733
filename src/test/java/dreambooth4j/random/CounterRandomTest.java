package dreambooth4j.random;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class CounterRandomTest {
  /** The known answers that the authors of Philox publish with Random123. */
  @Test
  void shouldGiveThePublishedAnswersOfPhilox() {
    int[] out = new int[4];
    CounterRandom.philox(0, 0, 0, 0, 0, out);
    assertThat(out).containsExactly(0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8);
    CounterRandom.philox(-1, -1, -1, -1, -1, out);
    assertThat(out).containsExactly(0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd);
    CounterRandom.philox(0x299f31d0a4093822L, 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, out);
    assertThat(out).containsExactly(0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1);
  }

  @Test
  void shouldRepeatAPlaceAndTellPlacesApart() {
    Set<Integer> first = new HashSet<>();
    for (long seed : new long[] {0, 1, -1}) {
      for (String purpose : new String[] {"noise", "timesteps"}) {
        for (long step : new long[] {0, 1, 1L << 32}) {
          for (int row = 0; row < 3; row++) {
            int draw = CounterRandom.at(seed, purpose, step, row).nextInt();
            assertThat(CounterRandom.at(seed, purpose, step, row).nextInt()).isEqualTo(draw);
            first.add(draw);
          }
        }
      }
    }
    assertThat(first).hasSize(3 * 2 * 3 * 3);
  }

  @Test
  void shouldGiveTheSameNumbersOnEveryMachine() {
    float[] out = new float[3];
    CounterRandom.at(42, "noise", 7, 1).normal(out, 0, 3);
    assertThat(out).containsExactly(-0.10944605f, 0.10544659f, -0.09075096f);
    assertThat(CounterRandom.at(42, "order", 7, 0).permutation(8))
        .containsExactly(5, 6, 4, 2, 3, 1, 0, 7);
  }

  @Test
  void shouldDrawFromTheStandardNormalDistribution() {
    float[] out = new float[100_001];
    CounterRandom.at(3, "noise", 0, 0).normal(out, 0, out.length);
    double mean = IntStream.range(0, out.length).mapToDouble(i -> out[i]).average().orElseThrow();
    double square =
        IntStream.range(0, out.length).mapToDouble(i -> out[i] * out[i]).average().orElseThrow();
    double fourth =
        IntStream.range(0, out.length)
            .mapToDouble(i -> Math.pow(out[i], 4))
            .average()
            .orElseThrow();
    assertThat(mean).isCloseTo(0, within(0.02));
    assertThat(square).isCloseTo(1, within(0.02));
    assertThat(fourth).isCloseTo(3, within(0.15));
  }

  @Test
  void shouldFillOnlyTheGivenRange() {
    float[] out = new float[5];
    CounterRandom.at(3, "noise", 0, 0).normal(out, 1, 3);
    assertThat(out[0]).isZero();
    assertThat(out[4]).isZero();
    assertThat(out[3]).isNotZero();
  }

  @Test
  void shouldDrawIntegersEvenly() {
    int[] counts = new int[7];
    CounterRandom random = CounterRandom.at(1, "timesteps", 0, 0);
    for (int i = 0; i < 70_000; i++) {
      counts[random.uniformInt(7)]++;
    }
    for (int count : counts) {
      assertThat(count).isBetween(9_600, 10_400);
    }
    assertThat(random.uniformInt(1)).isZero();
    assertThat(random.uniformInt(Integer.MAX_VALUE)).isNotNegative();
    assertThatIllegalArgumentException().isThrownBy(() -> random.uniformInt(0));
  }

  @Test
  void shouldPermuteEveryNumberOnceAndEveryOrderAlike() {
    int[] counts = new int[6];
    for (int epoch = 0; epoch < 6_000; epoch++) {
      int[] order = CounterRandom.at(9, "order", epoch, 0).permutation(3);
      assertThat(Arrays.stream(order).sorted()).containsExactly(0, 1, 2);
      counts[order[0] * 2 + (order[1] > order[2] ? 1 : 0)]++;
    }
    for (int count : counts) {
      assertThat(count).isBetween(850, 1_150);
    }
  }
}
