package dreambooth4j.config;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a configuration may be as a document: merged maps, and what is refused. */
class YamlDocumentTest extends ConfigFile {
  @Test
  void shouldMergeMaps() throws IOException {
    Config config =
        read(
            """
            common: &common {class_token: man, num_class_images_per: 3}
            more: &more {class_token: dog, crop: random}
            run: &run
              resolution: 64
              seed: 7
            <<: *run
            seed: 8
            concepts_list:
            - &first
              <<: [*common, *more]
              instance_data_dir: a
            - <<: *first
              instance_data_dir: b
              num_class_images_per: 1
            """);
    assertThat(config.data().resolution()).isEqualTo(64);
    assertThat(config.training().seed()).isEqualTo(8);
    assertThat(config.concepts()).extracting(c -> c.classImages().token()).containsOnly("man");
    assertThat(config.concepts()).extracting(ConceptConfig::crop).containsOnly(Crop.RANDOM);
    assertThat(config.concepts()).extracting(c -> c.classImages().numPer()).containsExactly(3, 1);
    assertThat(config.concepts())
        .extracting(ConceptConfig::instanceDataDir)
        .containsExactly(folder.resolve("a"), folder.resolve("b"));
  }

  @Test
  void shouldSayWhereWhatIsMergedIsWrong() throws IOException {
    String start = "instance_data_dir: a\n";
    assertThat(problem(start + "x: &x {resolution: 5, hflop: 1}\ny: 1\n<<: *x\n").lines())
        .hasSize(2)
        .anyMatch(line -> line.contains("config.yaml:2: unknown key hflop"))
        .anyMatch(line -> line.contains("config.yaml:3: unknown key y"));
    assertThat(problem(start + "<<: 1\n")).contains("config.yaml:2: <<: takes over the keys");
    assertThat(problem(start + "resolutoin: &x {a: b}\n"))
        .contains("config.yaml:2: unknown key resolutoin; did you mean resolution?");
    assertThat(problem(start + "x: &x {<<: *x, hflop: 1}\n<<: *x\n")).contains("hflop");
  }

  /** Each level merges the one before it many times over. */
  @Test
  void shouldNotGrowWithMerges() throws IOException {
    StringBuilder yaml = new StringBuilder("m0: &m0 {hflip: true}\n");
    for (int i = 1; i < 90; i++) {
      yaml.append("m%d: &m%d {<<: [%s]}\n".formatted(i, i, ("*m" + (i - 1) + ",").repeat(10)));
    }
    yaml.append("<<: *m89\ninstance_data_dir: a\n");
    assertThat(read(yaml.toString()).data().hflip()).isTrue();
    StringBuilder wide = new StringBuilder("m0: &m0\n");
    for (int i = 0; i < 2_000; i++) {
      wide.append("  k%d: 1\n".formatted(i));
    }
    wide.append("concepts_list:\n").append("- <<: *m0\n".repeat(200));
    assertThat(problem(wide.toString())).endsWith("more").hasSizeLessThan(10_000);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "a: &a [x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nd: [*c,*c,*c,*c]\n",
        "a: &a\n  b: *a\n",
        "- a\n- b\n",
        "just text",
        "",
        "a: b\n---\nc: d\n",
        "\tx: y",
        "a: 'x",
        "\u0000"
      })
  void shouldRefuseOddDocumentsInOneLine(String yaml) throws IOException {
    assertThat(problem(yaml)).contains("config.yaml");
  }

  @Test
  void shouldRefuseDeepLargeAndMissingFiles() throws IOException {
    assertThat(problem("a: " + "[".repeat(400_000)))
        .contains("config.yaml:1: lists or maps nested too deep");
    assertThat(problem("# " + "x".repeat(1_100_000))).contains("has more than 1,048,576 bytes");
    assertThat(problem("x".repeat(100_000) + ": 1\n" + "y".repeat(200_000) + ": 2\n"))
        .hasSizeLessThan(1000);
    assertThat(problem(folder.resolve("gone.yaml"), Map.of())).contains("there is no such file");
    Files.write(folder.resolve("config.yaml"), new byte[] {'a', (byte) 0xFF});
    assertThat(problem(folder.resolve("config.yaml"), Map.of())).contains("not UTF-8");
  }
}
