package dreambooth4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.entry;
import static org.assertj.core.api.Assertions.within;

import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.config.ConfigReader;
import dreambooth4j.config.Crop;
import java.awt.Color;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Objects;
import javax.imageio.ImageIO;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

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

  private static float[] latents(View view, @Nullable Path mask) {
    return LossMask.averaged(Objects.requireNonNull(LossMask.of(view, mask)), 16);
  }

  private static View view(Path file, boolean mirrored) {
    return new View(file, new Bucket(32, 32), Crop.CENTER, mirrored);
  }

  @Test
  void shouldGoWithItsPictureThroughScalingAndMirroring() throws IOException {
    Path picture = halves("01.png", 64, 64, Color.RED, Color.BLUE);
    Path mask = halves("01.mask.png", 128, 128, Color.BLACK, Color.WHITE);
    float[] plain = latents(view(picture, false), mask);
    float[] mirrored = latents(view(picture, true), mask);
    assertThat(plain).hasSize(4);
    assertThat(plain[0]).isLessThan(0.05f);
    assertThat(plain[1]).isGreaterThan(0.95f);
    assertThat(mirrored[0]).isEqualTo(plain[1]);
    assertThat(mirrored[1]).isEqualTo(plain[0]);
  }

  private @Nullable String note(String masked) {
    Map<String, String> flags = flags(masked);
    Config run = ConfigReader.read(null, flags).config();
    return Concept.noteOfMasks(run, Concept.scanAll(run));
  }

  @Test
  void shouldSayThatNoPictureHasAMask() throws IOException {
    halves("01.png", 64, 64, Color.RED, Color.BLUE);
    halves("02.png", 64, 64, Color.GREEN, Color.BLUE);
    assertThat(note("true"))
        .startsWith("masked_loss: no picture of " + folder + " has a mask, so all of each picture")
        .contains("put 01.mask.png beside 01.jpg");
    assertThat(note("false")).isNull();
    Path seen = halves("03.png", 64, 64, Color.RED, new Color(0, true));
    assertThat(note("true")).isNull();
    Files.delete(seen);
    halves("02.mask.png", 64, 64, Color.BLACK, Color.WHITE);
    assertThat(note("true")).isNull();
  }

  private Concept scanned() {
    return scanned("false");
  }

  private Concept scanned(String masked) {
    return Concept.scanAll(ConfigReader.read(null, flags(masked)).config()).get(0);
  }

  private Map<String, String> flags(String masked) {
    return Map.of(
        "instance_data_dir",
        folder.toString(),
        "instance_prompt",
        "a sks man",
        "masked_loss",
        masked);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "01.mask.png",
        "01.mask.PNG",
        "01.Mask.Png",
        "01.MASK.JPEG",
        "01.mask.jfif",
        "01.mask.gif",
        "01.mask.tif",
        "01.mask.TIFF",
        "01.mask.webp",
        "01.mask.bmp"
      })
  void shouldTakeMasksOfEveryNameThatPicturesHave(String name) throws IOException {
    halves("01.jpg", 64, 64, Color.RED, Color.BLUE);
    Path mask = halves(name, 64, 64, Color.BLACK, Color.WHITE);
    Concept concept = scanned();
    assertThat(concept.pictures()).hasSize(1);
    assertThat(concept.pictures().get(0).mask()).isEqualTo(mask);
    assertThat(concept.folder().skipped()).isEmpty();
  }

  @Test
  void shouldSayWhichMasksAreNotUsed() throws IOException {
    halves("01.png", 64, 64, Color.RED, Color.BLUE);
    halves("01.mask.png", 64, 64, Color.BLACK, Color.WHITE);
    halves("01.mask.bmp", 64, 64, Color.BLACK, Color.RED);
    halves("02.mask.png", 64, 64, Color.BLACK, Color.GREEN);
    Concept concept = scanned();
    assertThat(concept.pictures().get(0).mask()).isEqualTo(folder.resolve("01.mask.bmp"));
    assertThat(concept.folder().skipped())
        .containsOnly(entry("second mask of a picture", 1), entry("mask without a picture", 1));
  }

  /** Not when a step first asks for it. */
  @Test
  void shouldLookAtMasksBeforeTraining() throws IOException {
    halves("01.png", 64, 64, Color.RED, Color.BLUE);
    Path mask = Files.writeString(folder.resolve("01.mask.png"), "no picture");
    assertThatThrownBy(() -> scanned("true"))
        .isInstanceOf(Problem.class)
        .hasMessageContaining(mask + " is not a picture");
    assertThat(scanned("false").pictures()).hasSize(1);
  }

  @Test
  void shouldTakeAPicturesOpacityWhereThereIsNoFile() throws IOException {
    Path picture = halves("01.png", 64, 64, new Color(0, 0, 0, 0), Color.BLUE);
    float[] seen = latents(view(picture, false), null);
    assertThat(seen[0]).isLessThan(0.05f);
    assertThat(seen[1]).isGreaterThan(0.95f);
    Path opaque = halves("02.png", 64, 64, Color.RED, Color.BLUE);
    assertThat(LossMask.of(view(opaque, false), null)).isNull();
  }

  @Test
  void shouldNameAMaskOfOtherProportions() throws IOException {
    Path picture = halves("01.png", 64, 64, Color.RED, Color.BLUE);
    Path mask = halves("01.mask.png", 128, 64, Color.BLACK, Color.WHITE);
    assertThatThrownBy(() -> LossMask.of(view(picture, false), mask))
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
