package dreambooth4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.data.Offset.offset;

import dreambooth4j.Problem;
import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ThumbnailTest {
  private static final Path FIXTURES = Path.of("src/test/resources/pictures");

  @TempDir Path folder;

  private static BufferedImage shown(Thumbnail thumbnail) throws IOException {
    return ImageIO.read(new ByteArrayInputStream(thumbnail.file()));
  }

  /** A picture of four quarters: red, green, blue and white. */
  private Path quarters(String name, int width, int height) throws IOException {
    BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
    Graphics2D graphics = image.createGraphics();
    Color[] colours = {Color.RED, Color.GREEN, Color.BLUE, Color.WHITE};
    for (int i = 0; i < 4; i++) {
      graphics.setColor(colours[i]);
      graphics.fillRect(i % 2 * width / 2, i / 2 * height / 2, width / 2, height / 2);
    }
    graphics.dispose();
    Path file = folder.resolve(name);
    ImageIO.write(image, name.substring(name.indexOf('.') + 1), file.toFile());
    return file;
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "orientation-6.jpg",
        "orientation-6.png",
        "orientation-6.webp",
        "orientation-6.tif",
        "orientation-3.jpg",
        "lossy.webp",
        "cmyk.jpg"
      })
  void shouldStandUprightInAFormatThatBrowsersShow(String name) throws IOException {
    Thumbnail thumbnail = Thumbnail.of(FIXTURES.resolve(name), 100);
    Bucket same = new Bucket(24, 16);
    Pixels pixels = ImageReader.read(FIXTURES.resolve(name), same);
    assertThat(thumbnail.source()).isEqualTo(new ImageSize(24, 16));
    assertThat(thumbnail.mediaType()).isEqualTo("image/png");
    assertThat(Rgb.of(shown(thumbnail)).rgb()).isEqualTo(pixels.rgb());
  }

  @ParameterizedTest
  @CsvSource({"a.jpg, 5000, 3000", "a.png, 3001, 5000", "a.bmp, 1001, 701", "a.tif, 1200, 900"})
  void shouldMakeLargePicturesSmall(String name, int width, int height) throws IOException {
    Thumbnail thumbnail = Thumbnail.of(quarters(name, width, height), 300);
    BufferedImage image = shown(thumbnail);
    assertThat(thumbnail.source()).isEqualTo(new ImageSize(width, height));
    assertThat(thumbnail.mediaType()).isEqualTo("image/jpeg");
    assertThat(Math.max(image.getWidth(), image.getHeight())).isEqualTo(300);
    assertThat((double) image.getWidth() / image.getHeight())
        .isCloseTo((double) width / height, offset(0.005));
    int[] colours = {0xFF0000, 0x00FF00, 0x0000FF, 0xFFFFFF};
    for (int i = 0; i < 4; i++) {
      // Twelve pixels from the middle on each side: nothing is shifted.
      int x = image.getWidth() / 2 + (i % 2 == 0 ? -12 : 12);
      int y = image.getHeight() / 2 + (i / 2 == 0 ? -12 : 12);
      for (int shift = 0; shift < 24; shift += 8) {
        assertThat(image.getRGB(x, y) >> shift & 0xFF)
            .isBetween((colours[i] >> shift & 0xFF) - 12, (colours[i] >> shift & 0xFF) + 12);
      }
    }
  }

  @Test
  void shouldNameADamagedPicture() throws IOException {
    Path file = Files.writeString(folder.resolve("notes.jpg"), "a man in a hat");
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> Thumbnail.of(file, 100))
        .withMessageContaining("notes.jpg is not a picture");
  }
}
