package dreambooth4j.pipeline;

import dreambooth4j.Problem;
import dreambooth4j.data.Grid;
import dreambooth4j.data.Pixels;
import dreambooth4j.data.Png;
import dreambooth4j.diffusion.SamplerKind;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.TorchNoise;
import dreambooth4j.engine.op.ChannelsLast;
import dreambooth4j.weights.ModelSource;
import dreambooth4j.weights.Safetensors;
import dreambooth4j.weights.StagedFiles;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * Pictures of a model into files, as {@code generate} is asked for them. The picture equals
 * diffusers' with {@code torch.Generator("cpu").manual_seed(seed)} and {@code
 * num_images_per_prompt=count}.
 */
public final class Generation {
  private static final String LATENTS = "latents";

  /**
   * What is asked for.
   *
   * @param count pictures, made together; null for as many as there are latents, or one
   * @param width pixels; null for what the model was trained on, or the latents' width. Height
   *     likewise
   * @param sampler null for the model's own
   * @param latents a safetensors file whose tensor {@code latents} [n, channels, height, width]
   *     takes the place of the first draw; null to draw it
   * @param device where the model lies
   */
  public record ImageRequest(
      String prompt,
      String negative,
      @Nullable Integer count,
      @Nullable Integer width,
      @Nullable Integer height,
      int steps,
      double guidance,
      @Nullable SamplerKind sampler,
      TextEncoding encoding,
      long seed,
      @Nullable Path latents,
      Device device) {}

  private final StableDiffusion model;
  private final Arena run;
  private final ImageRequest wanted;

  private Generation(Arena run, StableDiffusion model, ImageRequest wanted) {
    this.run = run;
    this.model = model;
    this.wanted = wanted;
  }

  /**
   * Makes the pictures and writes them, all or none: one picture to {@code output}; of several,
   * their grid to {@code output} and the single ones beside it, {@code NAME-1.png} and so on.
   *
   * @param output a PNG file, or a folder that is there, in which the file is named for the seed
   * @param notes is told what is worth knowing before the first step, a line each
   * @param progress is told each step's number, from 1
   * @return the files written
   * @throws Problem when the wanted cannot be met or a file not be written
   */
  public static List<Path> write(
      ModelSource folder,
      ImageRequest wanted,
      Path output,
      Consumer<String> notes,
      IntConsumer progress) {
    if (wanted.count != null && wanted.count < 1) {
      throw Problem.usage("the number of pictures must be at least 1, found " + wanted.count);
    }
    Path file = file(output, wanted.seed);
    try (Arena run = Devices.open("generate", wanted.device);
        StableDiffusion model = StableDiffusion.load(run, folder);
        StagedFiles files = new StagedFiles()) {
      LongPrompts prompts = new LongPrompts(model.tokenizer(), wanted.encoding);
      prompts.add("the prompt", wanted.prompt);
      prompts.add("the negative prompt", wanted.negative);
      prompts.notes("--max-token-length ", 2).forEach(notes);
      Generation generation = new Generation(run, model, wanted);
      List<Pixels> pictures = generation.pictures(progress);
      List<Path> written = generation.stage(pictures, file, files);
      files.commit();
      return written;
    }
  }

  private static Path file(Path output, long seed) {
    if (Files.isDirectory(output)) {
      return output.resolve(seed + ".png");
    }
    if (!output.toString().toLowerCase(Locale.ROOT).endsWith(".png")) {
      throw Problem.usage(
          "%s: pictures are written as PNG: give a file that ends in .png, or a folder that is there"
              .formatted(output));
    }
    return output;
  }

  private List<Pixels> pictures(IntConsumer progress) {
    TextToImage textToImage = new TextToImage(model, wanted.encoding);
    try (TorchNoise noise = TorchNoise.ofBatch(wanted.seed)) {
      if (wanted.latents == null) {
        int count = wanted.count == null ? 1 : wanted.count;
        int usual = model.unet().config().sampleSize() * model.vae().config().factor();
        return textToImage.generate(run, request(usual, usual), count, noise, progress);
      }
      Tensor latents = latents(wanted.latents);
      int factor = model.vae().config().factor();
      TextToImage.Request request =
          request((int) latents.size(2) * factor, (int) latents.size(1) * factor);
      requireLatents(wanted.latents, latents, request);
      return textToImage.generate(run, request, latents, noise, progress);
    }
  }

  private TextToImage.Request request(int usualWidth, int usualHeight) {
    return new TextToImage.Request(
        wanted.prompt,
        wanted.negative,
        wanted.width == null ? usualWidth : wanted.width,
        wanted.height == null ? usualHeight : wanted.height,
        wanted.steps,
        wanted.guidance,
        wanted.sampler);
  }

  /** The given latents: F32 [n, h, w, channels]. */
  private Tensor latents(Path path) {
    try (Safetensors file = Safetensors.open(path)) {
      Tensor stored = file.read(run, LATENTS);
      long channels = model.unet().config().inChannels();
      if (stored.rank() != 4 || stored.size(1) != channels || stored.count() == 0) {
        throw Problem.data(
            "%s: expected %s of shape [n, %d, height, width], found %s"
                .formatted(path, LATENTS, channels, stored));
      }
      Tensor floats = run.allocate(LATENTS, DType.F32, stored.shape());
      floats.copyFrom(stored);
      return ChannelsLast.of(run, floats);
    }
  }

  private void requireLatents(Path path, Tensor latents, TextToImage.Request request) {
    int factor = model.vae().config().factor();
    boolean asWide = request.width() == latents.size(2) * factor;
    boolean asHigh = request.height() == latents.size(1) * factor;
    boolean asMany = wanted.count == null || wanted.count == latents.size(0);
    if (!asWide || !asHigh || !asMany) {
      throw Problem.usage(
          "%s: holds latents of %d pictures of %dx%d; leave out number and size, or ask for these"
              .formatted(
                  path, latents.size(0), latents.size(2) * factor, latents.size(1) * factor));
    }
  }

  private List<Path> stage(List<Pixels> pictures, Path output, StagedFiles files) {
    List<Path> staged = new ArrayList<>();
    staged.add(output);
    files.add(output, Png.encode(Grid.of(pictures), texts(pictures, "")));
    if (pictures.size() > 1) {
      String name = String.valueOf(output.getFileName());
      String stem = name.substring(0, name.length() - ".png".length());
      for (int i = 0; i < pictures.size(); i++) {
        Path single = output.resolveSibling(stem + "-" + (i + 1) + ".png");
        staged.add(single);
        files.add(single, Png.encode(pictures.get(i), texts(pictures, ", Batch pos: " + i)));
      }
    }
    return staged;
  }

  /** What made the pictures, in the words that web interfaces write and read. */
  private Map<String, String> texts(List<Pixels> pictures, String place) {
    StringBuilder text = new StringBuilder(wanted.prompt);
    if (!wanted.negative.isEmpty()) {
      text.append("\nNegative prompt: ").append(wanted.negative);
    }
    text.append("\nSteps: ").append(wanted.steps);
    if (wanted.sampler != null) {
      text.append(", Sampler: ").append(wanted.sampler.label());
    }
    text.append(", CFG scale: ").append(wanted.guidance);
    text.append(", Seed: ").append(wanted.seed);
    text.append(", Size: %dx%d".formatted(pictures.get(0).width(), pictures.get(0).height()));
    text.append(", Clip skip: ").append(wanted.encoding.clipSkip());
    if (wanted.encoding.windows() > 1) {
      text.append(", Max token length: ").append(wanted.encoding.maxTokenLength());
    }
    if (pictures.size() > 1) {
      text.append(", Batch size: ").append(pictures.size()).append(place);
    }
    return Map.of("parameters", text.toString());
  }
}
