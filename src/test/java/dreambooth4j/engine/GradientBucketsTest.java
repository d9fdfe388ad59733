package dreambooth4j.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import dreambooth4j.distributed.Ranks;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class GradientBucketsTest {
  private static final int BLOCK = 256;

  private final List<Float> handed = new ArrayList<>();
  private final List<Parameter> parameters = new ArrayList<>();
  private final Arena arena = Arena.open("test");
  private final Parameters group = new Parameters(DType.F32);

  @SuppressWarnings("NullAway.Init")
  private GradientBuckets buckets;

  /** Six weights of which the fourth does not train, in pieces of two blocks. */
  @BeforeEach
  void declare() {
    for (int i = 0; i < 6; i++) {
      parameters.add(group.declare("p" + i, BLOCK));
    }
    group.allocate(arena, true);
    parameters.get(3).freeze();
    buckets = new GradientBuckets(List.of(group), 2 * BLOCK * Float.BYTES, Shards.NONE);
    buckets.begin();
  }

  @AfterEach
  void close() {
    arena.close();
  }

  private void passes(int... numbers) {
    for (int each : numbers) {
      Native.run(
          "test",
          () -> parameters.get(each).accumulate(torch.full(new long[] {BLOCK}, scalar(each + 1))));
      buckets.complete(this::hand);
    }
  }

  private static org.bytedeco.pytorch.Scalar scalar(double value) {
    return new org.bytedeco.pytorch.Scalar(value);
  }

  private void hand(Tensor piece, int owner) {
    assertThat(owner).isEqualTo(GradientBuckets.ALL);
    float[] values = piece.toFloats();
    for (int i = 0; i < values.length; i += BLOCK) {
      handed.add(values[i]);
    }
    piece.release();
  }

  @Test
  void shouldHandOutPiecesFromTheEndAsTheyAreComplete() {
    passes(5);
    assertThat(handed).isEmpty();
    passes(4);
    assertThat(handed).containsExactly(5f, 6f);
    passes(2, 1);
    assertThat(handed).containsExactly(5f, 6f, 2f, 3f);
    passes(0);
    buckets.rest(this::hand);
    assertThat(handed).containsExactly(5f, 6f, 2f, 3f, 1f);
  }

  @Test
  void shouldKeepTheOrderWhateverIsCompleteFirst() {
    passes(0, 1, 2);
    assertThat(handed).isEmpty();
    passes(5, 4);
    assertThat(handed).containsExactly(5f, 6f, 2f, 3f, 1f);
  }

  @Test
  void shouldHandOutZerosOfWhatNoWalkHasReached() {
    passes(5, 4);
    buckets.rest(this::hand);
    group.zeroGradients();
    handed.clear();
    buckets.begin();
    buckets.rest(this::hand);
    assertThat(handed).containsExactly(0f, 0f, 0f, 0f, 0f);
  }

  /** Of 16 blocks the first of seven processes has 3 and the second 2. */
  @Test
  void shouldCutPiecesWhereAnotherProcessBegins() {
    List<String> owners = new ArrayList<>();
    GradientBuckets cut =
        new GradientBuckets(List.of(group), 3 * BLOCK * Float.BYTES, new Shards(Ranks.planned(7)));
    cut.begin();
    cut.rest(
        (piece, owner) -> {
          owners.add("%d for %d".formatted(piece.count() / BLOCK, owner));
          piece.release();
        });
    assertThat(owners).containsExactly("1 for 1", "1 for 2", "2 for 0", "1 for 0");
  }

  @Test
  void shouldRefuseToAddToWhatWasHandedOut() {
    passes(5, 4);
    assertThatIllegalStateException()
        .isThrownBy(() -> passes(5))
        .withMessageContaining("p5 is used by two ops");
  }
}
