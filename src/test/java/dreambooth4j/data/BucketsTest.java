package dreambooth4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class BucketsTest {
  @Test
  void shouldListTheExtensionsSizes() {
    assertThat(AspectBuckets.extension(512).sizes().stream().map(Bucket::toString))
        .containsExactly(
            "360x720", "384x680", "416x624", "440x584", "456x568", "512x512", "568x456", "584x440",
            "624x416", "680x384", "720x360");
    assertThat(AspectBuckets.extension(32).sizes().stream().map(Bucket::toString))
        .containsExactly("16x40", "24x32", "24x40", "32x24", "32x32", "40x16", "40x24");
  }

  @ParameterizedTest
  @CsvSource({
    "512, 512, 512x512",
    "4000, 3000, 584x440",
    "3000, 4000, 440x584",
    "1920, 1080, 680x384",
    "1000, 3000, 360x720",
    "9000, 300, 720x360",
    "1, 1, 512x512"
  })
  void shouldChooseTheNearestRatio(int width, int height, String bucket) {
    assertThat(AspectBuckets.extension(512).of(width, height)).hasToString(bucket);
  }

  @Test
  void shouldRefuseAResolutionWithoutRoomForASide() {
    assertThatIllegalArgumentException().isThrownBy(() -> AspectBuckets.extension(15));
    assertThat(AspectBuckets.extension(16).sizes())
        .allMatch(b -> b.width() >= 8 && b.height() >= 8);
  }
}
