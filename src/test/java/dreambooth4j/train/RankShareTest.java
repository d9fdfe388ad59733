package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dreambooth4j.config.Crop;
import dreambooth4j.data.Bucket;
import dreambooth4j.data.PairSampler;
import dreambooth4j.data.Picture;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RankShareTest {
  private static final Bucket SIZE = new Bucket(32, 32);

  /** Batches of these numbers of pairs. */
  private static List<PairSampler.Batch> batches(int... counts) {
    Picture.Wording wording = new Picture.Wording("sks", "man");
    Picture picture = new Picture(Path.of("a.png"), 0, SIZE, Crop.CENTER, 1, List.of(wording));
    PairSampler.Pair pair = new PairSampler.Pair(picture, null);
    return Arrays.stream(counts)
        .mapToObj(count -> new PairSampler.Batch(SIZE, Collections.nCopies(count, pair)))
        .toList();
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 7, 16})
  void shouldGiveEveryPairToOneRankWithItsWeightInTheBatch(int ranks) {
    int[] counts = {3, 1, 3};
    List<Integer> places = new ArrayList<>();
    double[] weights = new double[3];
    for (int rank = 0; rank < ranks; rank++) {
      int pairs = 0;
      for (RankShare share : RankShare.of(batches(counts), rank, ranks)) {
        int count = share.pairs().pairs().size();
        IntStream.range(share.first(), share.first() + count).forEach(places::add);
        int batch = share.first() < 3 ? 0 : share.first() < 4 ? 1 : 2;
        assertThat(share.weight()).isEqualTo((float) count / counts[batch]);
        weights[batch] += share.weight();
        pairs += count;
      }
      assertThat(pairs).isBetween(7 / ranks, (7 + ranks - 1) / ranks);
    }
    assertThat(places).isEqualTo(IntStream.range(0, 7).boxed().toList());
    assertThat(weights).containsExactly(new double[] {1, 1, 1}, within(1e-6));
  }

  @Test
  void shouldLeaveTheBatchesOfOneProcessAsTheyAre() {
    List<PairSampler.Batch> batches = batches(2, 3);
    assertThat(RankShare.of(batches, 0, 1)).extracting(RankShare::pairs).isEqualTo(batches);
    assertThat(RankShare.of(batches, 0, 1)).extracting(RankShare::weight).containsOnly(1f);
  }
}
