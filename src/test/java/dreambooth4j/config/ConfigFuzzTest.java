package dreambooth4j.config;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dreambooth4j.Untrusted;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.provider.MethodSource;

/** Configurations of any content: what is read can be written and read again. */
@Timeout(60)
class ConfigFuzzTest {
  static Stream<byte[]> configurations() throws IOException {
    String yaml =
        """
        common: &common {instance_token: sks, class_token: man}
        resolution: 64
        learning_rate: 1e-5
        offset_noise: true
        caption_extension: .txt, .cap
        buckets: kohya
        concepts_list:
        - <<: *common
          instance_data_dir: "a\\tb"
          crop: 0.5,0.2
        - instance_data_dir: 'b'
          class_prompt: |
            a photo of [filewords]
        """;
    String wrongTogether = "instance_data_dir: a\nresolution: 32\nbucket_reso_steps: 64\n";
    return Stream.of(
        yaml.getBytes(StandardCharsets.UTF_8),
        wrongTogether.getBytes(StandardCharsets.UTF_8),
        "resolution: 64\n".getBytes(StandardCharsets.UTF_8),
        Files.readAllBytes(Path.of("src/test/resources/config/db_config.json")));
  }

  @MethodSource("configurations")
  @FuzzTest
  void shouldReadOrRefuse(byte[] content) {
    Untrusted.read("config.yaml", content, ConfigFuzzTest::read);
  }

  private static void read(Path file) {
    Config config = ConfigReader.read(file, Map.of()).config();
    byte[] written = ConfigWriter.toYaml(config).getBytes(StandardCharsets.UTF_8);
    Untrusted.read(
        "written.yaml",
        written,
        copy -> assertThat(ConfigReader.read(copy, Map.of()).config()).isEqualTo(config));
  }
}
