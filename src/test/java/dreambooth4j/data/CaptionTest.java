package dreambooth4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dreambooth4j.Problem;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CaptionTest {
  @TempDir Path folder;

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
    assertThat(Caption.of(folder.resolve(name))).isEqualTo(expected);
  }

  @Test
  void shouldPreferTheTextBesideThePicture() throws IOException {
    Files.writeString(folder.resolve("01.txt"), "\uFEFF a man,\n in a hat \n");
    assertThat(Caption.of(folder.resolve("01.jpg"))).isEqualTo("a man,\n in a hat");
  }

  @Test
  void shouldRefuseATextThatIsNoCaption() throws IOException {
    Files.write(folder.resolve("01.txt"), new byte[] {(byte) 0xE9, 't', 'e'});
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> Caption.of(folder.resolve("01.jpg")))
        .withMessageContaining("01.txt")
        .withMessageContaining("UTF-8");
    Files.write(folder.resolve("02.txt"), new byte[70_000]);
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> Caption.of(folder.resolve("02.jpg")))
        .withMessageContaining("at most 64 KiB");
  }
}
