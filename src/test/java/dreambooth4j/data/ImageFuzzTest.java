package dreambooth4j.data;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dreambooth4j.Untrusted;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.provider.MethodSource;

/** Pictures of any content, for each of the decoders. */
@Timeout(60)
class ImageFuzzTest {
  private static final Path FIXTURES = Path.of("src/test/resources/pictures");

  /** Pictures that are larger are refused or decoded as they say, but slowly. */
  private static final int LARGE = 1_000_000;

  static Stream<byte[]> pictures() {
    return Stream.concat(
        Stream.of(
                "upright.png",
                "rgb16.png",
                "grey-alpha.png",
                "orientation-6.png",
                "orientation-6.jpg",
                "cmyk.jpg",
                "orientation-6.webp",
                "alpha.webp",
                "lossy.webp",
                "lossless.webp",
                "orientation-6.tif",
                "picture.avif")
            .map(ImageFuzzTest::fixture),
        Stream.of("bmp", "gif", "tif", "png").map(ImageFuzzTest::drawn));
  }

  @MethodSource("pictures")
  @FuzzTest
  void shouldReadOrRefuse(byte[] content) {
    Untrusted.read(
        "picture.jpg",
        content,
        file -> {
          ImageSize size = ImageReader.size(file);
          if ((long) size.width() * size.height() <= LARGE) {
            Pixels pixels = ImageReader.read(file, new Bucket(16, 8));
            assertThat(pixels.rgb()).hasSize(16 * 8 * Pixels.CHANNELS);
          }
        });
  }

  private static byte[] fixture(String name) {
    try {
      return Files.readAllBytes(FIXTURES.resolve(name));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static byte[] drawn(String format) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try {
      BufferedImage image = new BufferedImage(7, 5, BufferedImage.TYPE_BYTE_INDEXED);
      image.setRGB(3, 2, 0xFF8040);
      assertThat(ImageIO.write(image, format, bytes)).isTrue();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return bytes.toByteArray();
  }
}
