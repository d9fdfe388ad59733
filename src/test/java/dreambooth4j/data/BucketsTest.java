package dreambooth4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dreambooth4j.Problem;
import dreambooth4j.config.Crop;
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

  @Test
  void shouldListKohyasSizes() {
    AspectBuckets kohya = AspectBuckets.kohya(512, 256, 1024, 64);
    assertThat(kohya.sizes())
        .hasSize(17)
        .extracting(Bucket::toString)
        .contains("256x832", "256x896", "256x960", "256x1024", "320x704", "320x768", "384x640")
        .contains("448x576", "512x512", "576x448", "1024x256");
    assertThat(kohya.of(256, 896)).hasToString("256x896"); // its own size comes first
    assertThat(kohya.of(4000, 3000)).hasToString("576x448");
    assertThat(AspectBuckets.kohya(512, 128, 512, 32).sizes())
        .allMatch(b -> b.width() % 32 == 0 && b.width() >= 128 && b.width() <= 512);
  }

  @Test
  void shouldListOneTrainersSizes() {
    AspectBuckets oneTrainer = AspectBuckets.oneTrainer(512);
    assertThat(oneTrainer.sizes())
        .hasSize(17)
        .extracting(Bucket::toString)
        .contains("256x1024", "272x960", "296x888", "320x808", "360x728", "384x680", "416x624")
        .contains("456x576", "512x512", "1024x256");
    assertThat(oneTrainer.of(4000, 3000)).hasToString("576x456");
    assertThat(oneTrainer.of(1000, 3000)).hasToString("296x888");
  }

  @ParameterizedTest
  @CsvSource({
    "300, 200, 256x192", // smaller than the resolution: cropped, not enlarged
    "512, 512, 512x512",
    "4000, 3000, 512x384",
    "1920, 1080, 640x384",
    "1000, 3000, 256x768"
  })
  void shouldGivePicturesSizesOfTheirOwnRatherThanEnlargeThem(int width, int height, String size) {
    Bucket bucket = new OwnSizeBuckets(512, 64).of(width, height);
    assertThat(bucket).hasToString(size);
    CropBox box = CropBox.of(new ImageSize(width, height), bucket, Crop.CENTER);
    assertThat(box.scale()).isLessThanOrEqualTo(1);
  }

  @Test
  void shouldRefuseAPictureThatIsNarrowerThanAStep() {
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> new OwnSizeBuckets(512, 64).of(60, 400))
        .withMessageContaining("60 x 400");
  }
}
