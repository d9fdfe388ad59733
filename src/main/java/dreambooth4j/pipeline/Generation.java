package dreambooth4j.pipeline;

import dreambooth4j.Problem;
import dreambooth4j.config.DataConfig;
import dreambooth4j.data.Bucket;
import dreambooth4j.data.Pixels;
import dreambooth4j.diffusion.SamplerKind;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Parameters.Gradients;
import dreambooth4j.engine.ProcessMemory;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.TorchNoise;
import dreambooth4j.engine.op.ChannelsLast;
import dreambooth4j.engine.op.OpBackend;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.ModelSource;
import dreambooth4j.weights.Safetensors;
import dreambooth4j.weights.TensorInfo;
import dreambooth4j.weights.TensorSource;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * Pictures of a model, as {@code generate} is asked for them. The picture equals diffusers' with
 * {@code torch.Generator("cpu").manual_seed(seed)} and {@code num_images_per_prompt=count}.
 */
public final class Generation {
  private static final String LATENTS = "latents";
  private static final int MOST_PICTURES = 1000;
  private static final int MOST_STEPS = 1000;
  private static final int MOST_GUIDANCE = 1000;

  /**
   * What is asked for.
   *
   * @param negative what not to draw; null for none
   * @param count pictures, made together; null for as many as there are latents, or one
   * @param width pixels; null for what the model was trained on, or the latents' width. Height
   *     likewise
   * @param rescale how far the guided output is scaled to the deviation of the unguided one
   * @param sampler null for the model's own
   * @param latents a safetensors file whose tensor {@code latents} [n, channels, height, width]
   *     takes the place of the first draw; null to draw it
   * @param device where the model lies
   * @param tiled whether large pictures are decoded in tiles
   * @param type what its weights are held and computed with in, but for a VAE that overflows there
   */
  public record ImageRequest(
      String prompt,
      @Nullable String negative,
      @Nullable Integer count,
      @Nullable Integer width,
      @Nullable Integer height,
      int steps,
      double guidance,
      double rescale,
      @Nullable SamplerKind sampler,
      TextEncoding encoding,
      long seed,
      @Nullable Path latents,
      Device device,
      boolean tiled,
      DType type) {}

  /** The type of all weights of a model's UNet as they are read; F32 where they are of several. */
  public static DType typeOf(ModelSource model) {
    try (TensorSource weights = model.weights(Component.UNET)) {
      List<DType> types =
          weights.tensors().values().stream().map(TensorInfo::dtype).distinct().toList();
      DType first = types.isEmpty() ? DType.F32 : types.get(0);
      return types.size() == 1 && (first == DType.F16 || first == DType.BF16) ? first : DType.F32;
    }
  }

  private static StableDiffusion load(Arena arena, ModelSource folder, ImageRequest wanted) {
    WeightTypes types = new WeightTypes(DType.F32, false, wanted.type);
    StableDiffusion model = StableDiffusion.load(arena, folder, Map.of(), Gradients.NONE, types);
    if (wanted.tiled) {
      model.decodeInTiles();
    }
    return model;
  }

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
    requireBounds(wanted);
    requireRoom(folder, wanted);
    try (Arena run = Devices.open("generate", wanted.device);
        StableDiffusion model = load(run, folder, wanted)) {
      LongPrompts prompts = new LongPrompts(model.tokenizer(), wanted.encoding);
      prompts.add("the prompt", wanted.prompt);
      prompts.add("the negative prompt", wanted.negative == null ? "" : wanted.negative);
      prompts.notes("--max-token-length ", 2).forEach(notes);
      return new Generation(run, model, wanted).draw(progress);
    }
  }

  /** What a run's keys allow for samples, pictures may be asked for here. */
  private static void requireBounds(ImageRequest wanted) {
    require(
        wanted.count == null || (wanted.count >= 1 && wanted.count <= MOST_PICTURES),
        "the number of pictures must be from 1 to %d, found %d",
        MOST_PICTURES,
        wanted.count);
    require(
        wanted.steps >= 1 && wanted.steps <= MOST_STEPS,
        "steps must be from 1 to %d, found %d",
        MOST_STEPS,
        wanted.steps);
    require(
        Math.abs(wanted.guidance) <= MOST_GUIDANCE, // false for what is no number
        "the guidance must be a number up to %d, found %s",
        MOST_GUIDANCE,
        wanted.guidance);
    require(
        wanted.rescale >= 0 && wanted.rescale <= 1,
        "the rescaling of the guidance must be a number from 0 to 1, found %s",
        wanted.rescale);
    long side = DataConfig.MOST_RESOLUTION;
    long width = wanted.width == null ? 1 : wanted.width;
    long height = wanted.height == null ? 1 : wanted.height;
    require(
        width > 0 && height > 0 && width * height <= side * side,
        "pictures have at least one pixel and at most those of %d x %d, found --width %d --height %d",
        side,
        side,
        width,
        height);
  }

  private static void require(boolean met, String message, @Nullable Object... values) {
    if (!met) {
      throw Problem.usage(String.format(Locale.ROOT, message, values));
    }
  }

  /**
   * Refuses pictures that by a dry run need more memory than there is: Linux would kill the process
   * in the midst of them.
   */
  private static void requireRoom(ModelSource folder, ImageRequest wanted) {
    long needed;
    try (Arena dry = Arena.open("generate", OpBackend.dry(wanted.device));
        StableDiffusion model = load(dry, folder, wanted)) {
      Extent drawn = extent(model, wanted);
      TextToImage.requireSize(model, drawn.size.width(), drawn.size.height());
      needed =
          dry.meter().liveBytes()
              + new PictureMemory(dry, model, wanted.encoding)
                  .drawing(drawn.size, drawn.count, wanted.guidance > 1);
    }
    if (wanted.device != Device.CPU) {
      return; // there the device refuses
    }
    long available = ProcessMemory.available();
    if (needed > ProcessMemory.limit(available).orElse(Long.MAX_VALUE)) {
      throw new Problem(
          Problem.Kind.MEMORY,
          "the pictures need %s of memory by a plan, and %s are available: ask for smaller or for fewer at once (--width, --height, -n)%s"
              .formatted(
                  ProcessMemory.shown(needed),
                  ProcessMemory.shown(available),
                  wanted.type == DType.F32
                      ? ", or for weights of half the size (--precision bf16)"
                      : ""));
    }
  }

  /** So many pictures of one size. */
  private record Extent(Bucket size, int count) {}

  /** As asked for, or as the header of the file of latents says. */
  private static Extent extent(StableDiffusion model, ImageRequest wanted) {
    int factor = model.vae().config().factor();
    int usual = model.unet().config().sampleSize();
    long[] shape = {1, model.unet().config().inChannels(), usual, usual};
    if (wanted.latents != null) {
      try (Safetensors file = Safetensors.open(wanted.latents)) {
        TensorInfo info = file.tensors().get(LATENTS);
        long[] found = info == null ? new long[0] : info.sizes();
        long most = (long) DataConfig.MOST_RESOLUTION * DataConfig.MOST_RESOLUTION;
        if (found.length != 4
            || found[1] != shape[1]
            || found[0] < 1
            || found[0] > MOST_PICTURES
            || found[2] * found[3] < 1
            || found[2] * found[3] > most / factor / factor) {
          throw Problem.data(
              "%s: expected %s of shape [n, %d, height, width], found %s"
                  .formatted(
                      wanted.latents,
                      LATENTS,
                      shape[1],
                      info == null ? "none" : info.dtype() + info.shape().toString()));
        }
        shape = found;
      }
    }
    return new Extent(
        new Bucket(
            wanted.width == null ? (int) shape[3] * factor : wanted.width,
            wanted.height == null ? (int) shape[2] * factor : wanted.height),
        wanted.count == null ? (int) shape[0] : wanted.count);
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
    int width = wanted.width == null ? usualWidth : wanted.width;
    int height = wanted.height == null ? usualHeight : wanted.height;
    PictureSizes sizes = PictureSizes.whole(width, height);
    return new TextToImage.Request(
        wanted.prompt,
        wanted.negative,
        width,
        height,
        wanted.steps,
        wanted.guidance,
        wanted.rescale,
        wanted.sampler,
        sizes,
        sizes);
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
