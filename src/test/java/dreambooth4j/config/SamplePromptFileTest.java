package dreambooth4j.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dreambooth4j.Problem;
import dreambooth4j.diffusion.SamplerKind;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SamplePromptFileTest {
  @TempDir Path folder;

  private ConfigReader.Reading reading(String prompts) throws IOException {
    Files.writeString(folder.resolve("prompts.txt"), prompts, StandardCharsets.UTF_8);
    Path config = folder.resolve("config.yaml");
    Files.writeString(config, "instance_data_dir: a\nsample_prompts: prompts.txt\n");
    return ConfigReader.read(config, Map.of());
  }

  private List<SamplePrompt> read(String prompts) throws IOException {
    return reading(prompts).config().samples().prompts();
  }

  @Test
  void shouldReadKohyasFlags() throws IOException {
    List<SamplePrompt> prompts =
        read(
            "\uFEFF# mine\n\n  sks, a well-known man --n ugly, low-res --W 515 --h 768 --d 7 --s 12"
                + " --l 3.5 --ss euler_a\r\nsks --l -1\n");
    assertThat(prompts)
        .containsExactly(
            new SamplePrompt(
                3,
                "sks, a well-known man",
                "ugly, low-res",
                512,
                768,
                12,
                3.5,
                7L,
                SamplerKind.EULER_ANCESTRAL),
            new SamplePrompt(4, "sks", "", null, null, 30, -1, null, null));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "sks --w abc | --w is a whole number from 8 to 4096, found 'abc'",
        "sks --h 4 | --h is a whole number from 8 to 4096, found '4'",
        "sks --d -1 | --d is a whole number from 0, found '-1'",
        "sks --s 1000 | --s is a whole number from 1 to 999, found '1000'",
        "sks --l nan | --l is a number up to 1000, found 'nan'",
        "sks --l NaN | --l is a number up to 1000, found 'NaN'",
        "sks --ss fast | --ss is a sampler, one of ddim, euler",
        "sks --cn a.png | --cn a.png is no flag of a sample prompt; there are --n negative prompt",
        "sks --x | --x is no flag",
        "sks --w | --w has no value",
        "sks --w 8 --w 16 | --w is given twice",
        "--w 8 | there is no prompt before the flags",
      })
  void shouldNameFileAndLineOfWhatIsWrong(String line, String expected) {
    assertThatThrownBy(() -> read("sks\n" + line + "\n"))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("sample_prompts: ")
        .hasMessageContaining("prompts.txt line 2: " + expected);
  }

  @Test
  void shouldSayWhatHasNoEffect() throws IOException {
    ConfigReader.Reading reading = reading("sks --g 3 --fs 2\n");
    assertThat(reading.config().samples().prompts()).hasSize(1);
    assertThat(String.join("\n", reading.notes(false)))
        .contains("prompts.txt line 1: --g is for models of other kinds", "its guidance is --l")
        .contains("--fs is for models of other kinds");
  }

  @Test
  void shouldRefuseFilesWithoutPrompts() {
    assertThatThrownBy(() -> read("# nothing\n\n")).hasMessageContaining("holds no prompt");
    assertThatThrownBy(
            () ->
                ConfigReader.read(
                    null, Map.of("sample_prompts", folder.resolve("none.txt").toString())))
        .hasMessageContaining("none.txt");
  }
}
