package dreambooth4j.pipeline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.data.Bucket;
import dreambooth4j.data.ImageReader;
import dreambooth4j.data.Pixels;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Device;
import dreambooth4j.weights.JsonFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Against what transformers said, recorded by src/test/python/make_vision.py. */
class PictureFeaturesTest {
  private static final Path RECORDED = Path.of("src/test/resources/dreambooth4j/model/vision");

  @TempDir private Path folder;

  private static Pixels picture() {
    return ImageReader.read(RECORDED.resolve("picture.png"), new Bucket(39, 30));
  }

  private static float[] said(Path model) {
    try (Arena arena = Arena.open("features")) {
      return VisionFolder.open(model).load(arena).of(picture());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"clip", "dinov2", "dinov2_swiglu"})
  void shouldSayOfAPictureWhatTransformersSays(String kind) {
    JsonNode expected = JsonFile.read(RECORDED.resolve(kind).resolve("said.json")).path("features");
    float[] features = said(RECORDED.resolve(kind));
    assertThat(features).hasSize(expected.size());
    for (int i = 0; i < features.length; i++) {
      assertThat((double) features[i])
          .as("feature " + i)
          .isCloseTo(expected.get(i).doubleValue(), within(1e-5));
    }
  }

  @Test
  void shouldScaleCropAndNormaliseAPictureAsTransformersDoes() {
    JsonNode pixels = JsonFile.read(RECORDED.resolve("clip/said.json")).path("pixels");
    try (Arena arena = Arena.open("features")) {
      float[] input = VisionFolder.open(RECORDED.resolve("clip")).load(arena).input(picture());
      int places = input.length / 3;
      assertThat(pixels.size()).isGreaterThan(100);
      for (int i = 0; i < pixels.size(); i++) {
        int at = 7 * i; // of [3, height, width]
        assertThat((double) input[at % places * 3 + at / places])
            .as("pixel value " + at)
            .isCloseTo(pixels.get(i).doubleValue(), within(1e-5));
      }
    }
  }

  /** A vision model saved by itself has the same settings, not within an object. */
  @Test
  void shouldReadAVisionModelThatWasSavedWithoutItsTextTower() throws IOException {
    Path whole = RECORDED.resolve("clip");
    ObjectNode config = JsonFile.read(whole.resolve("config.json"));
    ObjectNode vision = (ObjectNode) config.path("vision_config").deepCopy();
    vision
        .put("model_type", "clip_vision_model")
        .set("projection_dim", config.path("projection_dim"));
    Files.writeString(folder.resolve("config.json"), vision.toString());
    for (String name : new String[] {"preprocessor_config.json", "model.safetensors"}) {
      Files.copy(whole.resolve(name), folder.resolve(name));
    }
    assertThat(said(folder)).isEqualTo(said(whole));
  }

  @ParameterizedTest
  @ValueSource(strings = {"clip", "dinov2"})
  void shouldPlanTheMemoryThatItTakes(String kind) {
    VisionFolder model = VisionFolder.open(RECORDED.resolve(kind));
    try (Arena arena = Arena.open("features")) {
      long taken = arena.meter().peakOf(() -> model.load(arena).of(picture()));
      // Weights that are put into another order are read through a copy, which is small in a model
      // of the usual size and not planned.
      assertThat(model.memory(Device.CPU)).isBetween(taken - taken / 20, taken + taken / 20);
    }
  }
}
