package dreambooth4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.train.TinySdxl;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** SDXL from the command line. */
class SdxlCommandsTest {
  @TempDir Path folder;

  private static BufferedImage read(Path file) throws IOException {
    return ImageIO.read(file.toFile());
  }

  /** The largest difference of a colour. */
  private static int furthest(BufferedImage a, BufferedImage b) {
    int most = 0;
    for (int y = 0; y < b.getHeight(); y++) {
      for (int x = 0; x < b.getWidth(); x++) {
        for (int shift = 0; shift < 24; shift += 8) {
          int difference = (a.getRGB(x, y) >> shift & 0xff) - (b.getRGB(x, y) >> shift & 0xff);
          most = Math.max(most, Math.abs(difference));
        }
      }
    }
    return most;
  }

  /**
   * Without a negative prompt SDXL is guided away from zeros, with an empty one from its states.
   */
  @ParameterizedTest
  @ValueSource(strings = {"none", "empty"})
  void shouldDrawThePictureThatDiffusersDraws(String negative) throws IOException {
    Path file = folder.resolve("out.png");
    List<String> args = new ArrayList<>(List.of("generate", TinySdxl.MODEL.toString()));
    args.addAll(List.of("sks man, sunglasses, black coat", "-o", file.toString()));
    args.addAll(List.of("--seed", "7", "--steps", "4"));
    if (negative.equals("empty")) {
      args.addAll(List.of("--negative", ""));
    }
    Ran ran = Ran.of(args);
    assertThat(ran.exitCode()).as(ran.err()).isZero();
    Path expected = Path.of("src/test/resources/generate/sdxl-" + negative + ".png");
    assertThat(furthest(read(file), read(expected))).isLessThanOrEqualTo(1);
  }

  @Test
  void shouldMakeClassImagesTrainAndDrawWithTheResult() throws IOException {
    List<String> arguments =
        TinySdxl.run(folder)
            .with("max_train_steps", 2)
            .with("train_text_encoder", true)
            .arguments("train");
    Ran trained = Ran.of(arguments);
    assertThat(trained.exitCode()).as(trained.err()).isZero();
    assertThat(trained.err())
        .contains("resolution is 32, but the base model was trained at 64: set resolution: 64");
    Path model = folder.resolve("out");
    assertThat(model.resolve("samples/000002-sks.png")).isNotEmptyFile();
    Path file = folder.resolve("sks.png");
    Ran drawn = Ran.of("generate", model.toString(), "sks", "-o", file.toString(), "--steps=2");
    assertThat(drawn.exitCode()).as(drawn.err()).isZero();
    assertThat(read(file).getWidth()).as("what the model was trained at").isEqualTo(64);
  }
}
