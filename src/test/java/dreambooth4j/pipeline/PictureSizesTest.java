package dreambooth4j.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.config.Crop;
import dreambooth4j.data.Bucket;
import dreambooth4j.data.ImageSize;
import dreambooth4j.data.View;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class PictureSizesTest {
  /** 2000 x 1000 pixels become 1248 x 624, of which 1024 x 624 are seen. */
  private static PictureSizes at(double x, boolean mirrored) {
    View view = new View(Path.of("p.png"), new Bucket(1024, 624), Crop.at(x, 0.5), mirrored);
    return PictureSizes.of(view, new ImageSize(2000, 1000));
  }

  @Test
  void shouldSayWhereTheCropOfTheScaledPictureBegins() {
    assertThat(at(0, false)).isEqualTo(new PictureSizes(1000, 2000, 0, 0, 624, 1024));
    assertThat(at(1, false)).isEqualTo(new PictureSizes(1000, 2000, 0, 224, 624, 1024));
  }

  /** What is cut off at the left of a picture is cut off at the right of its mirror image. */
  @Test
  void shouldCountInTheMirroredPicture() {
    assertThat(at(0, true)).isEqualTo(new PictureSizes(1000, 2000, 0, 224, 624, 1024));
    assertThat(at(1, true)).isEqualTo(new PictureSizes(1000, 2000, 0, 0, 624, 1024));
  }
}
