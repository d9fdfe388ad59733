package dreambooth4j.report;

import dreambooth4j.data.Pixels;
import dreambooth4j.diffusion.SamplerKind;
import dreambooth4j.pipeline.TextEncoding;
import dreambooth4j.pipeline.TextToImage;
import dreambooth4j.weights.LoraUse;
import java.util.List;
import java.util.Map;

/**
 * How pictures were drawn, as the text {@code parameters} of a PNG file, which the web UIs of
 * Stable Diffusion write and read, in their words.
 *
 * @param sampler the one that drew them, the model's own where none was asked for
 * @param seed that of the first picture
 * @param model the model's name
 * @param loras what was added to it
 * @param step steps of training after which a sample was drawn; -1 for a model that is done
 */
public record PictureParameters(
    TextToImage.Request request,
    SamplerKind sampler,
    TextEncoding encoding,
    long seed,
    String model,
    List<LoraUse> loras,
    int step) {
  /** The texts of a file that shows all of so many pictures. */
  Map<String, String> ofAll(Pixels first, int count) {
    return texts(first, count > 1 ? ", Batch size: " + count : "");
  }

  /** The texts of a file with one of several pictures, counted from 0. */
  Map<String, String> ofOne(Pixels picture, int count, int index) {
    return texts(picture, ", Batch size: %d, Batch pos: %d".formatted(count, index));
  }

  private Map<String, String> texts(Pixels picture, String batch) {
    StringBuilder text = new StringBuilder(request.prompt());
    for (LoraUse each : loras) {
      String name = String.valueOf(each.file().getFileName()).replaceFirst("\\.safetensors$", "");
      text.append(
          " <lora:%s:%s>".formatted(name.replaceAll("[<>:\\p{Cntrl}]", "_"), each.strength()));
    }
    String negative = request.negative();
    if (negative != null && !negative.isEmpty()) {
      text.append("\nNegative prompt: ").append(negative);
    }
    text.append("\nSteps: ").append(request.steps());
    text.append(", Sampler: ").append(sampler.webName());
    text.append(", CFG scale: ").append(request.guidance());
    if (request.rescale() != 0) {
      text.append(", CFG rescale: ").append(request.rescale());
    }
    text.append(", Seed: ").append(seed);
    text.append(", Size: %dx%d".formatted(picture.width(), picture.height()));
    text.append(", Model: ").append(model.replaceAll("[,:\"\\p{Cntrl}]", "_"));
    text.append(", Clip skip: ").append(encoding.clipSkip());
    if (encoding.windows() > 1) {
      text.append(", Max token length: ").append(encoding.maxTokenLength());
    }
    if (step >= 0) {
      text.append(", Training step: ").append(step);
    }
    return Map.of("parameters", text.append(batch).toString());
  }
}
