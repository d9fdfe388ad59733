package dreambooth4j.verify;

import com.fasterxml.jackson.databind.JsonNode;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.TorchNoise;
import dreambooth4j.engine.op.ChannelsLast;
import dreambooth4j.engine.op.WeightedSum;
import dreambooth4j.pipeline.PictureSizes;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.pipeline.TextToImage;
import java.util.ArrayList;
import java.util.List;

/** Pictures by the whole pipeline from given latents: each step of the sampler, and the picture. */
final class PictureCase {
  private PictureCase() {}

  static void run(Arena arena, StableDiffusion model, Golden golden) {
    golden
        .setting("variants")
        .properties()
        .forEach(each -> variant(arena, model, golden, each.getKey(), each.getValue()));
  }

  private static void variant(
      Arena arena, StableDiffusion model, Golden golden, String name, JsonNode how) {
    List<float[]> path = new ArrayList<>();
    float[] image =
        draw(
            arena,
            model,
            how,
            golden.input(arena, "input.latents"),
            golden.setting("width").asInt(),
            golden.setting("height").asInt(),
            path);
    golden.path(arena, "output." + name + ".latents", path, Limits.OUTPUT);
    golden.output(arena, "output." + name + ".image", image, Limits.OUTPUT);
  }

  /**
   * A picture as diffusers' pipeline was asked for it, from latents [1, channels, height, width]:
   * from 0 to 1, channels first; the latents of each step are added to a path.
   */
  static float[] draw(
      Arena arena,
      StableDiffusion model,
      JsonNode how,
      Tensor latents,
      int width,
      int height,
      List<float[]> path) {
    TextToImage pipeline = new TextToImage(model, PromptsCase.encoding(how));
    try (TorchNoise noise = TorchNoise.ofBatch(0)) {
      Tensor last =
          pipeline.sample(
              arena,
              request(how, width, height),
              ChannelsLast.of(arena, latents),
              noise,
              (step, after) -> path.add(ChannelsLast.undo(arena, after).toFloats()));
      return picture(arena, model, last);
    }
  }

  private static TextToImage.Request request(JsonNode how, int width, int height) {
    return new TextToImage.Request(
        how.path("prompt").asText(),
        how.has("negative_prompt") ? how.path("negative_prompt").asText() : null,
        width,
        height,
        how.path("num_inference_steps").asInt(),
        how.path("guidance_scale").asDouble(),
        how.path("guidance_rescale").asDouble(0),
        null,
        sizes(how, "", width, height),
        sizes(how, "negative_", width, height));
  }

  private static PictureSizes sizes(JsonNode how, String prefix, int width, int height) {
    JsonNode original = how.path(prefix + "original_size");
    JsonNode crop = how.path(prefix + "crops_coords_top_left");
    JsonNode target = how.path(prefix + "target_size");
    return new PictureSizes(
        original.path(0).asInt(height),
        original.path(1).asInt(width),
        crop.path(0).asInt(0),
        crop.path(1).asInt(0),
        target.path(0).asInt(height),
        target.path(1).asInt(width));
  }

  /** From 0 to 1, channels first. */
  private static float[] picture(Arena arena, StableDiffusion model, Tensor latents) {
    double scale = 1 / model.vae().config().scalingFactor();
    try (Tape tape = Tape.inference(arena)) {
      Tensor unscaled = WeightedSum.of(arena, new double[] {scale}, latents);
      Tensor decoded = model.vae().decode(tape, tape.constant(unscaled)).value();
      float[] values = ChannelsLast.undo(arena, decoded).toFloats();
      for (int i = 0; i < values.length; i++) {
        values[i] = Math.min(1, Math.max(0, values[i] / 2 + 0.5f));
      }
      return values;
    }
  }
}
