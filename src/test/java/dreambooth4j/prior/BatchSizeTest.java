package dreambooth4j.prior;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.data.Bucket;
import org.junit.jupiter.api.Test;

class BatchSizeTest {
  private static final Bucket SMALL = new Bucket(32, 32);
  private static final Bucket MIDDLE = new Bucket(64, 64);
  private static final Bucket LARGE = new Bucket(512, 512);

  @Test
  void shouldTakeTheFirstAloneAndThenWhatHalfOfTheMemoryHolds() {
    BatchSize sizes = new BatchSize(0, () -> 1000);
    assertThat(sizes.of(SMALL)).isEqualTo(1);
    sizes.took(SMALL, 1, 70);
    assertThat(sizes.of(SMALL)).isEqualTo(7);
    sizes.took(SMALL, 7, 7000); // what the first took decides
    assertThat(sizes.of(SMALL)).isEqualTo(7);
    assertThat(sizes.of(MIDDLE)).isEqualTo(1);
    sizes.took(MIDDLE, 1, 200);
    assertThat(sizes.of(MIDDLE)).isEqualTo(2);
  }

  @Test
  void shouldNotTakeMoreThanIsOfUse() {
    BatchSize sizes = new BatchSize(0, () -> Long.MAX_VALUE);
    sizes.took(SMALL, 1, 1);
    sizes.took(MIDDLE, 1, 0);
    sizes.took(LARGE, 1, 1);
    assertThat(sizes.of(SMALL)).isEqualTo(BatchSize.MOST);
    assertThat(sizes.of(MIDDLE)).isEqualTo(4);
    assertThat(sizes.of(LARGE)).isEqualTo(1);
  }

  @Test
  void shouldMakeAtLeastOneHoweverLittleThereIs() {
    BatchSize sizes = new BatchSize(0, () -> 0);
    sizes.took(SMALL, 1, 1000);
    assertThat(sizes.of(SMALL)).isEqualTo(1);
  }

  @Test
  void shouldTakeWhatIsAskedForAndHalveItWhereMemoryDoesNotSuffice() {
    BatchSize sizes = new BatchSize(12, () -> 0);
    sizes.took(LARGE, 12, 1);
    assertThat(sizes.of(LARGE)).isEqualTo(12);
    assertThat(sizes.halve(LARGE, 5)).isTrue(); // the last of a caption are fewer
    assertThat(sizes.of(LARGE)).isEqualTo(2);
    assertThat(sizes.halve(LARGE, 2)).isTrue();
    assertThat(sizes.of(LARGE)).isEqualTo(1);
    assertThat(sizes.halve(LARGE, 1)).isFalse();
    assertThat(sizes.of(SMALL)).isEqualTo(12);
  }
}
