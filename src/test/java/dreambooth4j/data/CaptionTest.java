package dreambooth4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dreambooth4j.Problem;
import dreambooth4j.config.CaptionConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class CaptionTest {
  @TempDir Path folder;

  private Caption caption(String picture) {
    return caption(picture, CaptionConfig.Lines.JOINED);
  }

  private Caption caption(String picture, CaptionConfig.Lines lines) {
    List<String> extensions = List.of(".txt", ".caption");
    return Caption.of(
        folder,
        folder.resolve(picture),
        new CaptionConfig(extensions, lines, false, 1, 0, 0, false));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          07 - santa, man, orange background.jpg | santa, man, orange background
          2023-11-22 a man.png | a man
          01.jpg | ''
          a man.v2.jpeg | a man.v2
          -12-a man.jpg | a man
          3-4 - 5 men.jpg | men
          no extension | no extension
          """)
  void shouldReadTheFileNameWithoutTheNumberItBeginsWith(String name, String expected) {
    assertThat(caption(name)).isEqualTo(new Caption(List.of(expected), false, 1));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "IMG_2041.jpg",
        "IMG_E2041.HEIC.jpg",
        "_MG_2041.jpg",
        "IMG-20240101-WA0001.jpg",
        "DSC01234.JPG",
        "DSC_0001-2.jpg",
        "P1010023.jpg",
        "20240101_120000.jpg",
        "2024-01-01 12.00.00.jpg",
        "photo (1).jpeg",
        "image.png",
        "WhatsApp Image 2024-01-01.jpg",
        "WhatsApp Image 2024-01-01 at 12.00.00 PM (1).jpeg",
        "PXL_20240101_120000123.MP.jpg",
        "Screenshot_20240101-120000_Chrome.png",
        "Screenshot from 2024-01-01 12-00-00.png",
        "5f0c8b1e-3a8b-4d5e-9f00-0123456789ab.jpg",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709.png",
        "00.jpg"
      })
  void shouldTakeNoNameOfACameraForACaption(String name) {
    assertThat(caption(name).text()).isEmpty();
    assertThat(caption(name).isMissing()).isTrue();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "photo of a man.jpg",
        "image of sks.png",
        "sam.jpg",
        "sam on a beach.jpg",
        "painting 3.jpg",
        "p1.png",
        "screenshot of a game.png",
        "facade.png",
        "panorama of Rome.jpg"
      })
  void shouldTakeANameInWordsForACaption(String name) {
    assertThat(caption(name).text()).isEqualTo(Companion.stem(folder.resolve(name)));
  }

  @Test
  void shouldPreferTheTextBesideThePicture() throws IOException {
    Files.writeString(folder.resolve("01.txt"), "\uFEFF a man,\n in a hat \n");
    assertThat(caption("01.jpg").text()).isEqualTo("a man,\n in a hat");
    assertThat(caption("01.jpg").written()).isTrue();
  }

  @Test
  void shouldTakeTheFirstExtensionThatThereIs() throws IOException {
    Files.writeString(folder.resolve("01.caption"), "from .caption");
    assertThat(caption("01.jpg").text()).isEqualTo("from .caption");
    Files.writeString(folder.resolve("01.txt"), "from .txt");
    assertThat(caption("01.jpg").text()).isEqualTo("from .txt");
  }

  @Test
  void shouldTakeSeveralLinesAsItIsTold() throws IOException {
    Files.writeString(folder.resolve("01.txt"), "\n a man\r\n\n a man in a hat \n a man\n");
    assertThat(caption("01.jpg", CaptionConfig.Lines.JOINED).texts()).hasSize(1);
    assertThat(caption("01.jpg", CaptionConfig.Lines.FIRST).texts()).containsExactly("a man");
    assertThat(caption("01.jpg", CaptionConfig.Lines.DRAWN).texts())
        .containsExactly("a man", "a man in a hat");
    Files.writeString(folder.resolve("01.txt"), " \n");
    assertThat(caption("01.jpg", CaptionConfig.Lines.DRAWN).texts()).containsExactly("");
  }

  @Test
  void shouldRefuseATextThatIsNoCaption() throws IOException {
    Files.write(folder.resolve("01.txt"), new byte[] {(byte) 0xE9, 't', 'e'});
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> caption("01.jpg"))
        .withMessageContaining("01.txt")
        .withMessageContaining("UTF-8");
    Files.write(folder.resolve("02.txt"), new byte[70_000]);
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> caption("02.jpg"))
        .withMessageContaining("more than 65,536 bytes");
  }
}
