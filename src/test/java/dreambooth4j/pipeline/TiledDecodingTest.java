package dreambooth4j.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.data.Bucket;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.ChannelsLast;
import dreambooth4j.engine.op.OpBackend;
import dreambooth4j.weights.ModelOptions;
import dreambooth4j.weights.ModelSource;
import dreambooth4j.weights.PublishedModel;
import dreambooth4j.weights.Safetensors;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class TiledDecodingTest {
  private static final String MODEL = "src/test/resources/goldens/sd1/model";

  /** Recorded by src/test/python/make_tiles.py. */
  private static final Path RECORDED = Path.of("src/test/resources/generate/tiles.safetensors");

  @Test
  void shouldBlendTilesAsDiffusersDoes() {
    try (Arena run = Arena.open("run");
        Safetensors recorded = Safetensors.open(RECORDED);
        StableDiffusion model =
            StableDiffusion.load(run, ModelSource.find(MODEL, ModelOptions.NONE))) {
      Tensor latents = ChannelsLast.of(run, recorded.read(run, "latents"));
      float[] expected = ChannelsLast.of(run, recorded.read(run, "picture")).toFloats();
      float[] whole;
      try (Tape tape = Tape.inference(run)) {
        whole = model.vae().decode(tape, tape.constant(latents)).value().toFloats();
      }

      float[] tiled = new TiledDecoding(model.vae(), 4).decode(run, latents);

      assertThat(error(tiled, expected)).isLessThan(1e-5);
      assertThat(error(whole, expected)).isGreaterThan(1e-3);
    }
  }

  private static double error(float[] ours, float[] theirs) {
    assertThat(ours).hasSameSizeAs(theirs);
    double difference = 0;
    double all = 0;
    for (int i = 0; i < ours.length; i++) {
      difference += Math.pow(ours[i] - theirs[i], 2);
      all += Math.pow(theirs[i], 2);
    }
    return Math.sqrt(difference / all);
  }

  /** Planned for the published SDXL: a picture of 1024 pixels a side. */
  @Test
  void shouldNeedMuchLessForALargePicture() {
    ModelSource sdxl = PublishedModel.all().get(2);
    try (Arena dry = Arena.open("plan", OpBackend.dry(Device.CUDA));
        StableDiffusion model = StableDiffusion.load(dry, sdxl)) {
      PictureMemory memory = new PictureMemory(dry, model, TextEncoding.USUAL);
      long whole = memory.drawing(new Bucket(1024, 1024), 1, true);
      model.decodeInTiles();
      long tiled = memory.drawing(new Bucket(1024, 1024), 1, true);

      assertThat(whole).isGreaterThan(2_000_000_000L);
      assertThat(tiled).isLessThan(whole / 2);
    }
  }
}
