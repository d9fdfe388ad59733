package dreambooth4j.model;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LokrTest {
  /** As LyCORIS documents its own, where 0 is -1. */
  @ParameterizedTest
  @CsvSource({
    "127, 0, 1, 127", "127, 16, 1, 127", "128, 0, 8, 16", "128, 2, 2, 64", "128, 16, 8, 16",
    "250, 4, 2, 125", "250, 8, 5, 50", "250, 16, 10, 25", "250, 0, 10, 25", "360, 0, 18, 20",
    "360, 4, 4, 90", "360, 16, 15, 24", "512, 8, 8, 64", "1024, 0, 32, 32", "1024, 16, 16, 64",
    "3, 0, 1, 3", "1, 0, 1, 1"
  })
  void shouldSplitSidesAsLycoris(long side, int factor, long smaller, long larger) {
    assertThat(new AdapterSize(1, 1, factor).split(side)).containsExactly(smaller, larger);
  }
}
