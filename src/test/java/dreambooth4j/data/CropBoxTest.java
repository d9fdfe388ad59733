package dreambooth4j.data;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.config.Crop;
import dreambooth4j.random.CounterRandom;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CropBoxTest {
  private static CropBox box(int width, int height, Crop crop) {
    return CropBox.of(new ImageSize(width, height), new Bucket(64, 64), crop);
  }

  @ParameterizedTest
  @CsvSource({"64, 64, 0, 0", "65, 64, 0, 0", "66, 64, 1, 0", "64, 67, 0, 1", "128, 68, 28, 0"})
  void shouldCropAboutTheCentre(int width, int height, int left, int top) {
    CropBox box = box(width, height, Crop.CENTER);
    assertThat(box.left()).isEqualTo(left);
    assertThat(box.top()).isEqualTo(top);
    assertThat(box(width, height, Crop.RANDOM)).isEqualTo(box);
  }

  @Test
  void shouldKeepThePointThatItIsTold() {
    assertThat(box(64, 128, Crop.at(0.5, 0)).top()).isZero();
    assertThat(box(64, 128, Crop.at(0.5, 1)).top()).isEqualTo(64);
    for (double y = 0; y <= 1; y += 0.01) {
      int top = box(64, 128, Crop.at(0, y)).top();
      assertThat(y * 128).isBetween(top - 1.0, top + 65.0);
    }
  }

  @Test
  void shouldDrawEveryPlaceEquallyOften() {
    Map<Integer, Integer> places = new HashMap<>();
    for (int i = 0; i < 5000; i++) {
      CounterRandom random = CounterRandom.at(7, "crop", i, 0);
      Crop drawn = Crop.RANDOM.drawn(random.uniform(), random.uniform());
      places.merge(box(68, 64, drawn).left(), 1, Integer::sum);
    }
    assertThat(places).containsOnlyKeys(0, 1, 2, 3, 4);
    assertThat(places.values()).allMatch(count -> count > 900 && count < 1100);
    assertThat(Crop.CENTER.drawn(0, 0)).isEqualTo(Crop.CENTER);
  }

  @Test
  void shouldSayWhatItDoesInWords() {
    assertThat(box(256, 128, Crop.CENTER))
        .hasToString("256x128 scaled by 0.500 to 128x64, cropped to 64x64 at 32,0");
  }
}
