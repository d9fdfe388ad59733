package dreambooth4j.model;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dreambooth4j.Problem;
import dreambooth4j.weights.ModelFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Models that are whole but of a kind, or of parts, that do not go together. */
class ModelConfigsTest {
  private static final Path MODELS = Path.of("src/test/resources/models");

  @TempDir Path folder;

  private Path copy(String model) throws IOException {
    Path source = MODELS.resolve(model);
    List<Path> files;
    try (Stream<Path> all = Files.walk(source)) {
      files = all.filter(Files::isRegularFile).toList();
    }
    for (Path each : files) {
      Path target = folder.resolve(source.relativize(each));
      Files.createDirectories(target.getParent());
      Files.copy(each, target);
    }
    return folder;
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          sd15 | unet           | "in_channels": 4         | "in_channels": 9     | in_channels is 9: this is an inpainting model
          sdxl | unet           | "in_channels": 4         | "in_channels": 9     | in_channels is 9: this is an inpainting model
          sd15 | unet           | "in_channels": 4         | "in_channels": 5     | in_channels is 5: this is a depth model
          sdxl | text_encoder_2 | "projection_dim": 1280   | "projection_dim": 768 | projection_dim is 768: they must be the same
          sdxl | text_encoder_2 | "hidden_size": 1280      | "hidden_size": 640   | hidden_size is 1408: they must be the same
          sdxl | unet           | "addition_time_embed_dim": 256 | "addition_time_embed_dim": 512 | has no room for 6 times addition_time_embed_dim 512
          sdxl | unet           | "addition_embed_type": "text_time" | "addition_embed_type": "image" | addition_embed_type = "image" is not supported
          sdxl | text_encoder_2 | "num_hidden_layers": 32  | "num_hidden_layers": 1 | the UNet is given the last layer but one
          """)
  void shouldRefuseByName(String model, String part, String was, String is, String expected)
      throws IOException {
    Path file = copy(model).resolve(part).resolve("config.json");
    String before = Files.readString(file).replace("\":4", "\": 4");
    Files.writeString(file, before.replace(was, is));
    assertThatThrownBy(() -> ModelConfigs.read(ModelFolder.open(folder, null)))
        .isInstanceOf(Problem.class)
        .hasMessageContaining(expected)
        .hasMessageContaining(part + "/config.json");
  }
}
