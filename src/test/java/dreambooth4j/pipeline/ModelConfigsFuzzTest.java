package dreambooth4j.pipeline;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dreambooth4j.Untrusted;
import dreambooth4j.diffusion.NoiseSchedule;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.op.OpBackend;
import dreambooth4j.train.TinyModel;
import dreambooth4j.train.TinyRun;
import dreambooth4j.weights.ModelOptions;
import dreambooth4j.weights.ModelSource;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.provider.MethodSource;

/** A config.json of any content, in the place of that of the part of a model that it names. */
@Timeout(60)
class ModelConfigsFuzzTest {
  private static final Map<String, String> PLACES =
      Map.of(
          "UNet2DConditionModel", "unet/config.json",
          "AutoencoderKL", "vae/config.json",
          "CLIPTextModel", "text_encoder/config.json",
          "Scheduler", "scheduler/scheduler_config.json");

  static Stream<byte[]> configurations() {
    return PLACES.values().stream().sorted().map(ModelConfigsFuzzTest::own);
  }

  private static byte[] own(String place) {
    try {
      return Files.readAllBytes(TinyRun.MODEL.resolve(place));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @MethodSource("configurations")
  @FuzzTest
  void shouldLoadOrRefuse(byte[] content) {
    String text = new String(content, StandardCharsets.ISO_8859_1);
    for (Map.Entry<String, String> each : PLACES.entrySet()) {
      if (text.contains(each.getKey())) {
        Path place = Path.of(each.getValue());
        Untrusted.read(place.getFileName().toString(), content, file -> load(file, place));
      }
    }
  }

  private static void load(Path file, Path place) {
    Path model = file.resolveSibling("model");
    Path target = model.resolve(place);
    try {
      if (!Files.exists(model)) {
        TinyModel.copy(model);
      }
      Files.copy(file, target, StandardCopyOption.REPLACE_EXISTING);
      try (Arena dry = Arena.open("model", OpBackend.dry(Device.CPU));
          StableDiffusion loaded =
              StableDiffusion.load(dry, ModelSource.find(model.toString(), ModelOptions.NONE))) {
        NoiseSchedule.of(loaded.scheduler());
      } finally {
        Files.copy(TinyRun.MODEL.resolve(place), target, StandardCopyOption.REPLACE_EXISTING);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
