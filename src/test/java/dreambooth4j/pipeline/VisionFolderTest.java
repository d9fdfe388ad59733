package dreambooth4j.pipeline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.weights.JsonFile;
import dreambooth4j.weights.Safetensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What is refused before a model is loaded, and what to do about it. */
class VisionFolderTest {
  private static final Path RECORDED = Path.of("src/test/resources/dreambooth4j/model/vision");
  private static final ObjectMapper MAPPER = new ObjectMapper();

  @TempDir private Path folder;

  private void copy(String kind) throws IOException {
    for (String name :
        new String[] {"config.json", "preprocessor_config.json", "model.safetensors"}) {
      Files.copy(RECORDED.resolve(kind).resolve(name), folder.resolve(name));
    }
  }

  private void set(String file, String key, String value) throws IOException {
    Path path = folder.resolve(file);
    ObjectNode all = JsonFile.read(path);
    all.set(key, MAPPER.readTree(value));
    Files.writeString(path, all.toString());
  }

  private void refused(String... words) {
    assertThatThrownBy(() -> VisionFolder.open(folder))
        .isInstanceOf(Problem.class)
        .hasMessageContainingAll(words);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "do_resize        | false                       | do_resize = false",
        "do_center_crop   | false                       | do_center_crop = false",
        "do_rescale       | false                       | do_rescale = false",
        "do_normalize     | false                       | do_normalize = false",
        "do_pad           | true                        | do_pad = true",
        "resample         | 2                           | resample = 2",
        "rescale_factor   | 0.0078                      | rescale_factor = 0.0078",
        "size             | {\"height\":28,\"width\":28}  | size = {",
        "size             | 20                          | larger than size, 20",
        "crop_size        | 3                           | smaller than a patch (patch_size 4",
        "crop_size        | 5000                        | with N from 1 to 4096",
        "image_std        | [1, 0, 1]                   | image_std must be positive",
        "image_mean       | [1, 0]                      | image_mean must be three numbers"
      })
  void shouldRefusePreprocessingThatItDoesNotDo(String key, String value, String message)
      throws IOException {
    copy("dinov2");
    set("preprocessor_config.json", key, value);
    refused("preprocessor_config.json: ", message);
  }

  @Test
  void shouldRefuseAnotherSizeForClipWhosePositionsAreFixed() throws IOException {
    copy("clip");
    set("preprocessor_config.json", "size", "24");
    set("preprocessor_config.json", "crop_size", "24");
    refused("crop_size is 24×24", "image_size alone (16 in config.json)", "set crop_size to that");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "model_type         | \"siglip\" | model_type siglip",
        "num_hidden_layers  | 3          | encoder.layer.2.norm1.weight: expected [8], found none",
        "hidden_size        | 16         | numbers [16], found F32[8]",
        "patch_size         | 2          | expected numbers [8, 3, 2, 2], found F32[8, 3, 4, 4]",
        "num_hidden_layers  | 999999     | num_hidden_layers must be a whole number from 1 to 128"
      })
  void shouldRefuseAModelThatTheWeightsAreNotOf(String key, String value, String message)
      throws IOException {
    copy("dinov2");
    set("config.json", key, value);
    refused(message);
  }

  /** Petabytes, if they were allocated. */
  @Test
  void shouldRefuseSizesBeyondTheFilesOwnBeforeItAllocatesThem() throws IOException {
    copy("dinov2");
    for (Map.Entry<String, String> each :
        Map.of("hidden_size", "65536", "mlp_ratio", "64", "image_size", "4096", "patch_size", "1")
            .entrySet()) {
      set("config.json", each.getKey(), each.getValue());
    }
    set("config.json", "num_hidden_layers", "128");
    refused("do not fit the model that the config.json beside it describes", "and ", " more");
  }

  @Test
  void shouldRefuseTooManyPatches() throws IOException {
    copy("dinov2");
    set("preprocessor_config.json", "size", "4096");
    set("preprocessor_config.json", "crop_size", "4096");
    refused("more than 16384 patches");
  }

  @Test
  void shouldSayHowToGetWeightsThatAreNotPickled() throws IOException {
    copy("clip");
    Files.delete(folder.resolve("model.safetensors"));
    refused("expected model.safetensors, found none", "hf download");
    Files.createFile(folder.resolve("pytorch_model.bin"));
    refused("found only a pickle (pytorch_model.bin)", "--revision", "safe_serialization=True");
  }

  @Test
  void shouldSayHowToGetAFolder() throws IOException {
    assertThatThrownBy(() -> VisionFolder.open(Path.of("facebook/dinov2-base")))
        .isInstanceOf(Problem.class)
        .hasMessageContainingAll("found nothing", "hf download facebook/dinov2-base");
    refused("config.json: expected a JSON file, found none");
  }

  @Test
  void shouldReadWeightsInSeveralFiles() throws IOException {
    copy("dinov2");
    String part = "model-00001-of-00001.safetensors";
    Files.move(folder.resolve("model.safetensors"), folder.resolve(part));
    Map<String, String> places = new LinkedHashMap<>();
    try (Safetensors file = Safetensors.open(folder.resolve(part))) {
      file.tensors().keySet().forEach(name -> places.put(name, part));
    }
    Files.writeString(
        folder.resolve("model.safetensors.index.json"),
        MAPPER.writeValueAsString(Map.of("weight_map", places)));
    try (Arena arena = Arena.open("features")) {
      assertThat(VisionFolder.open(folder).load(arena)).isNotNull();
    }
  }
}
