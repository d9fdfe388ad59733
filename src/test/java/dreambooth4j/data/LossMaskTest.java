package dreambooth4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dreambooth4j.Problem;
import dreambooth4j.config.Crop;
import java.awt.Color;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Objects;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LossMaskTest {
  @TempDir Path folder;

  /** A picture whose left half is of one colour, perhaps transparent, and the right of another. */
  private Path halves(String name, int width, int height, Color left, Color right)
      throws IOException {
    BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_INT_ARGB);
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        image.setRGB(x, y, (x < width / 2 ? left : right).getRGB());
      }
    }
    Path file = folder.resolve(name);
    ImageIO.write(image, "png", file.toFile());
    return file;
  }

  private static float[] latents(View view) {
    return LossMask.averaged(Objects.requireNonNull(LossMask.of(view)), 16);
  }

  private static View view(Path file, boolean mirrored) {
    return new View(file, new Bucket(32, 32), Crop.CENTER, mirrored);
  }

  @Test
  void shouldGoWithItsPictureThroughScalingAndMirroring() throws IOException {
    Path picture = halves("01.png", 64, 64, Color.RED, Color.BLUE);
    halves("01.mask.png", 128, 128, Color.BLACK, Color.WHITE);
    float[] plain = latents(view(picture, false));
    float[] mirrored = latents(view(picture, true));
    assertThat(plain).hasSize(4);
    assertThat(plain[0]).isLessThan(0.05f);
    assertThat(plain[1]).isGreaterThan(0.95f);
    assertThat(mirrored[0]).isEqualTo(plain[1]);
    assertThat(mirrored[1]).isEqualTo(plain[0]);
  }

  @Test
  void shouldTakeAPicturesOpacityWhereThereIsNoFile() throws IOException {
    Path picture = halves("01.png", 64, 64, new Color(0, 0, 0, 0), Color.BLUE);
    float[] seen = latents(view(picture, false));
    assertThat(seen[0]).isLessThan(0.05f);
    assertThat(seen[1]).isGreaterThan(0.95f);
    Path opaque = halves("02.png", 64, 64, Color.RED, Color.BLUE);
    assertThat(LossMask.of(view(opaque, false))).isNull();
  }

  @Test
  void shouldNameAMaskOfOtherProportions() throws IOException {
    Path picture = halves("01.png", 64, 64, Color.RED, Color.BLUE);
    halves("01.mask.png", 128, 64, Color.BLACK, Color.WHITE);
    assertThatThrownBy(() -> LossMask.of(view(picture, false)))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("01.mask.png is 128 x 64 and its picture 64 x 64");
  }

  @Test
  void shouldLetTheRestCountALittleAndAMaskedPictureAsMuchAsAnother() {
    float[] mask = LossMask.weights(new float[] {0, 0.05f, 0.5f, 1}, 0.1, false);
    assertThat(mask).containsExactly(0.1f, 0.1f, 0.5f, 1);
    float[] normalized = LossMask.weights(new float[] {0, 0, 0, 1}, 0, true);
    assertThat(normalized[3]).isCloseTo(4, within(1e-6f));
  }
}
