package dreambooth4j.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.data.Pixels;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameters.Gradients;
import dreambooth4j.engine.ProcessMemory;
import dreambooth4j.engine.TorchNoise;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.pipeline.TextEncoding;
import dreambooth4j.pipeline.TextToImage;
import dreambooth4j.pipeline.WeightTypes;
import dreambooth4j.weights.ModelOptions;
import dreambooth4j.weights.ModelSource;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;

/**
 * Class images in a process of its own, to be run in turn with {@code
 * bench/baseline/class_images.py}, which takes the same arguments, draws the same pictures and
 * prints the same line of JSON.
 */
public final class ClassImageRun {
  private static final String PROMPT = "a photo of a man";
  private static final double GUIDANCE = 7.5;

  private ClassImageRun() {}

  /**
   * Arguments: a model's folder, pictures at once, side of the pictures in pixels, sampler steps,
   * batches; then maybe {@code --bf16}.
   */
  public static void main(String[] args) {
    int count = Integer.parseInt(args[1]);
    int side = Integer.parseInt(args[2]);
    int batches = Integer.parseInt(args[4]);
    DType type = List.of(args).contains("--bf16") ? DType.BF16 : DType.F32;
    TextToImage.Request request =
        new TextToImage.Request(
            PROMPT, null, side, side, Integer.parseInt(args[3]), GUIDANCE, null);
    ObjectNode json = new ObjectMapper().createObjectNode();
    ArrayNode seconds = json.putArray("seconds");
    ArrayNode means = json.putArray("means");
    ModelSource source = ModelSource.find(args[0], ModelOptions.NONE);
    try (Arena run = Arena.open("run")) {
      long before = ProcessMemory.peak().orElse(0);
      WeightTypes types = new WeightTypes(type, false, type);
      try (StableDiffusion model =
          StableDiffusion.load(run, source, Map.of(), Gradients.NONE, types)) {
        for (int i = 0; i < batches; i++) {
          long start = System.nanoTime();
          List<Pixels> pictures = draw(run, model, request, count);
          seconds.add((System.nanoTime() - start) / 1e9);
          means.add(mean(pictures));
        }
      }
      json.put("peakBytes", ProcessMemory.peak().orElse(0) - before);
    }
    System.out.println(json);
  }

  private static List<Pixels> draw(
      Arena run, StableDiffusion model, TextToImage.Request request, int count) {
    List<Long> seeds = LongStream.range(0, count).boxed().toList();
    try (TorchNoise noise = TorchNoise.ofRows(seeds)) {
      return new TextToImage(model, TextEncoding.USUAL)
          .generate(run, request, count, noise, step -> {});
    }
  }

  /** Of all samples of all pictures, from 0 to 255: the same on both sides, but for rounding. */
  private static double mean(List<Pixels> pictures) {
    double sum = 0;
    long samples = 0;
    for (Pixels each : pictures) {
      for (byte sample : each.rgb()) {
        sum += Byte.toUnsignedInt(sample);
      }
      samples += each.rgb().length;
    }
    return sum / samples;
  }
}
