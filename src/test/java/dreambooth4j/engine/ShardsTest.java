package dreambooth4j.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.distributed.Ranks;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ShardsTest {
  private static final long BLOCK = 256;

  @ParameterizedTest
  @CsvSource({"1, 16", "2, 16", "3, 16", "7, 16", "5, 4097", "8, 7", "64, 33584"})
  void shouldCutBlocksInEqualPartsOfWhichTheFirstIsLargest(int count, long blocks) {
    Shards shards = new Shards(Ranks.planned(count));
    long elements = blocks * BLOCK;
    long most = shards.own(elements).length();
    assertThat(most).isEqualTo((blocks + count - 1) / count * BLOCK);
    long next = 0;
    for (int rank = 0; rank < count; rank++) {
      Parameters.Span span = shards.of(rank, elements);
      assertThat(span.from()).isEqualTo(next);
      assertThat(span.length() % BLOCK).isZero();
      assertThat(span.length()).isBetween(most - BLOCK, most);
      next += span.length();
    }
    assertThat(next).isEqualTo(elements);
  }
}
