package dreambooth4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.config.ConfigReader;
import dreambooth4j.prior.ClassImagePlan;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Planning at a size where threads take turns. At full size (100,000 pictures in 2,000 folders) it
 * is measured by hand, with pictures from src/test/python/make_many_pictures.py.
 */
class ManyPicturesTest {
  private static final int FOLDERS = 40;
  private static final int EACH = 25;

  @TempDir Path folder;

  private Config write() throws IOException {
    for (int f = 0; f < FOLDERS; f++) {
      for (int p = 0; p < EACH; p++) {
        String caption = "sks, man, hat %d".formatted(p % 7);
        TestPictures.write(
            folder.resolve("f%03d".formatted(f)), "%03d".formatted(p), 16, 16, caption);
      }
    }
    return ConfigReader.read(
            null,
            Map.of(
                "instance_data_dir", folder.toString(),
                "instance_token", "sks",
                "class_token", "man",
                "resolution", "16"))
        .config();
  }

  @Test
  void shouldPlanManyPicturesInTheOrderOfTheirNames() throws IOException {
    Config config = write();
    Instant start = Instant.now();
    List<Concept> concepts = Concept.scanAll(config);
    ClassImagePlan plan = ClassImagePlan.of(config, concepts);
    // A hundredth of the size and, even where others work too, not a third of the time allowed.
    assertThat(Duration.between(start, Instant.now())).isLessThan(Duration.ofSeconds(10));
    List<Picture> pictures = concepts.get(0).pictures();
    assertThat(pictures).hasSize(FOLDERS * EACH).extracting(Picture::file).isSorted();
    assertThat(plan.missing()).isEqualTo(FOLDERS * EACH);
    assertThat(plan.needs()).hasSize(7);
    assertThat(Concept.scanAll(config).get(0).pictures()).isEqualTo(pictures);
  }

  @Test
  void shouldNameTheFirstOfSeveralDamagedPicturesEachTime() throws IOException {
    Config config = write();
    for (String name : List.of("f007/003.png", "f021/000.png", "f039/024.png")) {
      Files.writeString(folder.resolve(name), "no picture " + name);
    }
    for (int i = 0; i < 5; i++) {
      Problem problem = catchThrowableOfType(Problem.class, () -> Concept.scanAll(config));
      assertThat(problem).hasMessageContaining("f007/003.png");
    }
  }
}
