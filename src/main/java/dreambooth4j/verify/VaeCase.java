package dreambooth4j.verify;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.ChannelsLast;
import dreambooth4j.pipeline.LatentCache;
import dreambooth4j.pipeline.StableDiffusion;

/** The VAE both ways: a picture's moments and latents drawn of them, and the picture of latents. */
final class VaeCase {
  private static final String SCALED = "output.scaled_latents";

  private VaeCase() {}

  static void run(Arena arena, StableDiffusion model, Golden golden) {
    try (Tape tape = Tape.inference(arena)) {
      Tensor image = ChannelsLast.of(arena, golden.input(arena, "input.image"));
      Tensor moments = model.vae().encode(tape, tape.constant(image)).value();
      int channels = (int) moments.size(-1) / 2;
      float[] values = moments.toFloats();
      int pixels = (int) (moments.size(1) * moments.size(2));
      golden.output(arena, "output.mean", channels(values, pixels, 2 * channels, 0), Limits.OUTPUT);
      golden.output(
          arena, "output.logvar", channels(values, pixels, 2 * channels, channels), Limits.OUTPUT);
      if (golden.has(SCALED)) {
        Tensor noise = ChannelsLast.of(arena, golden.input(arena, "input.posterior_noise"));
        float[] drawn = new float[(int) noise.count()];
        LatentCache.draw(model.vae().config(), moments, noise.toFloats(), drawn, 0);
        Tensor scaled = arena.floats("scaled", drawn, noise.shape());
        golden.output(arena, SCALED, ChannelsLast.undo(arena, scaled).toFloats(), Limits.OUTPUT);
      }
      Tensor latents = ChannelsLast.of(arena, golden.input(arena, "input.latents"));
      Tensor picture = model.vae().decode(tape, tape.constant(latents)).value();
      golden.output(
          arena, "output.image", ChannelsLast.undo(arena, picture).toFloats(), Limits.OUTPUT);
    }
  }

  /** Half of the channels, from {@code first} on, of [B, h, w, all] as [B, all/2, h, w]. */
  private static float[] channels(float[] values, int pixels, int all, int first) {
    int batch = values.length / pixels / all;
    float[] half = new float[values.length / 2];
    int next = 0;
    for (int b = 0; b < batch; b++) {
      for (int c = first; c < first + all / 2; c++) {
        for (int p = 0; p < pixels; p++) {
          half[next++] = values[(b * pixels + p) * all + c];
        }
      }
    }
    return half;
  }
}
