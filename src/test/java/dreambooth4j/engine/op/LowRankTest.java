package dreambooth4j.engine.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import dreambooth4j.random.CounterRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What LoRA files hold is tested with their reader; here is what is made of a difference. */
class LowRankTest {
  private static Tensor drawn(Arena arena, String name, long... shape) {
    float[] values = new float[(int) Tensor.count(shape)];
    CounterRandom.at(7, name, 0, 0).normal(values, 0, values.length);
    return arena.floats(name, values, shape);
  }

  /** Matrices that are decomposed whole, and those that are looked at by random directions. */
  @ParameterizedTest
  @CsvSource({"12, 40", "40, 12", "300, 500", "700, 320"})
  void shouldFindTheFactorsOfALowRank(int rows, int columns) {
    try (Arena arena = Arena.open("factors")) {
      Tensor product =
          LowRank.product(
              arena, drawn(arena, "up", rows, 5), drawn(arena, "down", 5, columns), rows, columns);

      Tensor[] factors = LowRank.factors(arena, product, 5);

      assertThat(factors[0].shape()).containsExactly(rows, 5);
      assertThat(factors[1].shape()).containsExactly(5, columns);
      Tensor again = LowRank.product(arena, factors[0], factors[1], rows, columns);
      double missed = LowRank.squares(LowRank.difference(arena, product, again));
      assertThat(missed / LowRank.squares(product)).isLessThan(1e-10);
      double up = LowRank.squares(factors[0]);
      assertThat(LowRank.squares(factors[1]) / up).as("of one size").isCloseTo(1, within(1e-3));
    }
  }

  /** Noise has no low rank: the largest directions of it are nearly as good as the best. */
  @ParameterizedTest
  @CsvSource({"300, 400, 8"})
  void shouldComeCloseToTheBestWhereAllDirectionsCount(int rows, int columns, int rank) {
    try (Arena arena = Arena.open("factors")) {
      Tensor noise = drawn(arena, "noise", rows, columns);
      Tensor[] whole = LowRank.factors(arena, noise, rows);
      double best = 0;
      for (int i = 0; i < rank; i++) {
        double value = LowRank.squares(whole[1].rows(i, 1)); // a singular value
        best += value * value;
      }

      Tensor[] factors = LowRank.factors(arena, noise, rank);

      Tensor kept = LowRank.product(arena, factors[0], factors[1], rows, columns);
      assertThat(LowRank.squares(kept) / best).isBetween(0.97, 1.0001);
    }
  }
}
