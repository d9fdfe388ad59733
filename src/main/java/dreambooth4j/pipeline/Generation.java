package dreambooth4j.pipeline;

import dreambooth4j.Problem;
import dreambooth4j.data.Pixels;
import dreambooth4j.diffusion.SamplerKind;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.TorchNoise;
import dreambooth4j.engine.op.ChannelsLast;
import dreambooth4j.weights.ModelSource;
import dreambooth4j.weights.Safetensors;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * Pictures of a model, as {@code generate} is asked for them. The picture equals diffusers' with
 * {@code torch.Generator("cpu").manual_seed(seed)} and {@code num_images_per_prompt=count}.
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
   * What was drawn.
   *
   * @param request with the size that was chosen
   * @param sampler the one that drew them
   */
  public record Drawn(List<Pixels> pictures, TextToImage.Request request, SamplerKind sampler) {}

  /**
   * Makes the pictures.
   *
   * @param notes is told what is worth knowing before the first step, a line each
   * @param progress is told each step's number, from 1
   * @throws Problem when what is wanted cannot be met
   */
  public static Drawn draw(
      ModelSource folder, ImageRequest wanted, Consumer<String> notes, IntConsumer progress) {
    if (wanted.count != null && wanted.count < 1) {
      throw Problem.usage("the number of pictures must be at least 1, found " + wanted.count);
    }
    try (Arena run = Devices.open("generate", wanted.device);
        StableDiffusion model = StableDiffusion.load(run, folder)) {
      LongPrompts prompts = new LongPrompts(model.tokenizer(), wanted.encoding);
      prompts.add("the prompt", wanted.prompt);
      prompts.add("the negative prompt", wanted.negative);
      prompts.notes("--max-token-length ", 2).forEach(notes);
      return new Generation(run, model, wanted).draw(progress);
    }
  }

  private Drawn draw(IntConsumer progress) {
    SamplerKind sampler = SamplerKind.of(model.scheduler(), wanted.sampler);
    TextToImage textToImage = new TextToImage(model, wanted.encoding);
    int factor = model.vae().config().factor();
    try (TorchNoise noise = TorchNoise.ofBatch(wanted.seed)) {
      if (wanted.latents == null) {
        int count = wanted.count == null ? 1 : wanted.count;
        int usual = model.unet().config().sampleSize() * factor;
        TextToImage.Request request = request(usual, usual);
        return new Drawn(
            textToImage.generate(run, request, count, noise, progress), request, sampler);
      }
      Tensor latents = latents(wanted.latents);
      TextToImage.Request request =
          request((int) latents.size(2) * factor, (int) latents.size(1) * factor);
      requireLatents(wanted.latents, latents, request);
      return new Drawn(
          textToImage.generate(run, request, latents, noise, progress), request, sampler);
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
}
