package dreambooth4j.prior;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.config.Config;
import dreambooth4j.data.Bucket;
import dreambooth4j.data.Concept;
import dreambooth4j.train.TinyRun;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ForecastTest {
  private static final Forecast.Speed SPEED =
      new Forecast.Speed(new Bucket(64, 32), 5, true, 10, 20);

  @TempDir Path folder;

  private double seconds(TinyRun tiny) {
    Config config = tiny.config();
    ClassImagePlan plan = ClassImagePlan.of(config, Concept.scanAll(config));
    return Forecast.of(plan, SPEED, need -> need.concept().classImages().inferSteps() + 1)
        .seconds();
  }

  @Test
  void shouldCountStepsRowsAndPixels() throws IOException {
    // 3 pictures of 32x32, half of what was measured, and 2 of 32x24.
    double pictures = 3 * 0.5 + 2 * 0.375;
    TinyRun tiny = new TinyRun(folder).with("class_infer_steps", 9);
    assertThat(seconds(tiny)).isEqualTo(pictures * (10 * 2 + 4));
    tiny.with("class_guidance_scale", 1);
    assertThat(seconds(tiny)).isEqualTo(pictures * (10 * 1 + 4));
    tiny.with("num_class_images_per", 7);
    assertThat(seconds(tiny)).isEqualTo(7 * pictures * (10 * 1 + 4));
    assertThat(seconds(tiny.with("num_class_images_per", 0))).isZero();
  }

  @ParameterizedTest
  @CsvSource({
    "0.01, 1 s",
    "99, 99 s",
    "100, 2 min",
    "720, 12 min",
    "5940, 99 min",
    "12000, 3 h 20 min"
  })
  void shouldSayItInWords(double seconds, String words) {
    assertThat(new Forecast(seconds, SPEED).inWords()).isEqualTo(words);
  }
}
