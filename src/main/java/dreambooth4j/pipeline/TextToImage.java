package dreambooth4j.pipeline;

import dreambooth4j.Problem;
import dreambooth4j.data.Pixels;
import dreambooth4j.diffusion.Guidance;
import dreambooth4j.diffusion.Sampler;
import dreambooth4j.diffusion.SamplerKind;
import dreambooth4j.diffusion.SchedulerConfig;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.TorchNoise;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.WeightedSum;
import dreambooth4j.model.Conditioning;
import dreambooth4j.model.UNet;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.function.BooleanSupplier;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/** Prompts to pictures, as diffusers' {@code StableDiffusionPipeline} makes them. */
public final class TextToImage {
  /**
   * Pictures are decoded together until they hold this many pixels: the VAE is the memory's peak.
   */
  private static final long PIXELS_AT_ONCE = 512 * 512;

  /**
   * What is asked for.
   *
   * @param negative what not to draw; null for none
   * @param width pixels, a multiple of the VAE's factor; height likewise
   * @param guidance classifier-free guidance; 1 or less is without
   * @param rescale how far the guided output is scaled to the deviation of the unguided one, from 0
   *     to 1
   * @param sampler null for the model's own
   * @param sizes of the pictures, as SDXL is told them
   * @param negativeSizes of what they are guided away from
   */
  public record Request(
      String prompt,
      @Nullable String negative,
      int width,
      int height,
      int steps,
      double guidance,
      double rescale,
      @Nullable SamplerKind sampler,
      PictureSizes sizes,
      PictureSizes negativeSizes) {
    /** Told the size that it has, and not rescaled. */
    public Request(
        String prompt,
        @Nullable String negative,
        int width,
        int height,
        int steps,
        double guidance,
        @Nullable SamplerKind sampler) {
      this(
          prompt,
          negative,
          width,
          height,
          steps,
          guidance,
          0,
          sampler,
          PictureSizes.whole(width, height),
          PictureSizes.whole(width, height));
    }
  }

  /** Is told of each step of the sampler; what it throws ends the work. */
  @FunctionalInterface
  public interface Steps {
    /**
     * A step is done.
     *
     * @param number from 1
     * @param latents F32 [n, h, w, channels] after it, lent for the call
     */
    void done(int number, Tensor latents);
  }

  private final StableDiffusion model;
  private final PromptEncoder encoder;
  private final SchedulerConfig scheduler;

  /** {@code encoding} as the model was trained. */
  public TextToImage(StableDiffusion model, TextEncoding encoding) {
    this(model, encoding, model.scheduler());
  }

  /** With another noise schedule than the model's: that of the weights which it has meanwhile. */
  public TextToImage(StableDiffusion model, TextEncoding encoding, SchedulerConfig scheduler) {
    this.model = model;
    this.encoder = new PromptEncoder(model, encoding);
    this.scheduler = scheduler;
  }

  /** A configured negative prompt, of which an empty one means none. */
  public static @Nullable String unlessEmpty(String negative) {
    return negative.isEmpty() ? null : negative;
  }

  /**
   * A progress that ends the work with a {@link CancellationException} once {@code stop} is true.
   */
  public static IntConsumer until(BooleanSupplier stop) {
    return step -> {
      if (stop.getAsBoolean()) {
        throw new CancellationException("stopped at step " + step);
      }
    };
  }

  /** Refuses a size in pixels that no latents have. */
  static void requireSize(StableDiffusion model, int width, int height) {
    int factor = model.vae().config().factor();
    if (width <= 0 || height <= 0 || width % factor != 0 || height % factor != 0) {
      throw Problem.usage(
          "width %d and height %d must be multiples of %d".formatted(width, height, factor));
    }
  }

  /** Makes {@code count} pictures of noise drawn here. */
  public List<Pixels> generate(
      Arena run, Request request, int count, TorchNoise noise, IntConsumer progress) {
    requireSize(model, request.width, request.height);
    int factor = model.vae().config().factor();
    try (Arena arena = run.child("generate")) {
      Tensor latents =
          noise.draw(
              arena,
              count,
              request.height / factor,
              request.width / factor,
              model.unet().config().inChannels());
      return generate(arena, request, latents, noise, progress);
    }
  }

  /**
   * Makes pictures of given latents.
   *
   * @param latents F32 [n, h, w, channels], unit noise
   * @param noise for samplers that draw more on the way
   * @param progress is told each step's number, from 1; what it throws ends the work
   */
  public List<Pixels> generate(
      Arena run, Request request, Tensor latents, TorchNoise noise, IntConsumer progress) {
    try (Arena arena = run.child("sample")) {
      Steps steps = (number, after) -> progress.accept(number);
      return decode(arena, sample(arena, request, latents, noise, steps));
    }
  }

  /**
   * Latents of pictures, as {@link #generate(Arena, Request, Tensor, TorchNoise, IntConsumer)}
   * decodes them: as {@code latents}, in {@code arena}.
   */
  public Tensor sample(
      Arena arena, Request request, Tensor latents, TorchNoise noise, Steps steps) {
    try (Sampler sampler = SamplerKind.forModel(scheduler, request.sampler)) {
      sampler.begin(request.steps);
      Conditioning<Tensor> conditioning = conditioning(arena, request, (int) latents.size(0));
      model.rest();
      Tensor x = WeightedSum.of(arena, new double[] {sampler.initNoiseSigma()}, latents);
      double[] timesteps = sampler.timesteps();
      for (int i = 0; i < timesteps.length; i++) {
        Tensor output = predict(arena, request, sampler, x, i, timesteps[i], conditioning);
        Tensor before = x;
        x =
            sampler.step(
                arena,
                output,
                x,
                i,
                () ->
                    noise.draw(
                        arena, before.size(0), before.size(1), before.size(2), before.size(3)));
        output.release();
        before.release();
        steps.done(i + 1, x);
      }
      return x;
    }
  }

  /** A network that is asked of noisy latents: {@link UNet#forward} or {@link UNet#features}. */
  @FunctionalInterface
  private interface Network {
    Var of(Tape tape, Var latents, Tensor timesteps, Conditioning<Var> conditioning);
  }

  /**
   * What the network predicts of noisy latents at a timestep, told of the prompt alone.
   *
   * @param x F32 [n, h, w, channels]
   * @return as x, on the host
   */
  public float[] predict(Arena arena, Request request, Tensor x, double timestep) {
    return asked(arena, request, x, timestep, model.unet()::forward);
  }

  /** As {@link #predict}, what the network's middle block makes of them: [n, h, w, features]. */
  public float[] features(Arena arena, Request request, Tensor x, double timestep) {
    return asked(arena, request, x, timestep, model.unet()::features);
  }

  private float[] asked(Arena run, Request request, Tensor x, double timestep, Network network) {
    try (Arena arena = run.child("ask");
        Tape tape = Tape.inference(arena)) {
      Conditioning<Tensor> told = conditioning(arena, request, (int) x.size(0));
      model.rest();
      Tensor times = timesteps(arena, timestep, x.size(0));
      return network
          .of(tape, tape.constant(x), times, told.map((name, each) -> tape.constant(each)))
          .value()
          .toFloats();
    }
  }

  private static Tensor timesteps(Arena arena, double timestep, long rows) {
    float[] times = new float[(int) rows];
    Arrays.fill(times, (float) timestep);
    return arena.floats("timesteps", times, times.length);
  }

  private static boolean isGuided(Request request) {
    return request.guidance > 1;
  }

  /** What is told of n pictures, or of 2n with those that they are guided away from first. */
  private Conditioning<Tensor> conditioning(Arena arena, Request request, int count) {
    List<Conditioning<Tensor>> rows = new ArrayList<>();
    List<PictureSizes> sizes = new ArrayList<>();
    if (isGuided(request)) {
      rows.addAll(Collections.nCopies(count, encoder.encodeNegative(arena, request.negative)));
      sizes.addAll(Collections.nCopies(count, request.negativeSizes));
    }
    Conditioning<Tensor> positive = encoder.encode(arena, List.of(request.prompt));
    rows.addAll(Collections.nCopies(count, positive));
    sizes.addAll(Collections.nCopies(count, request.sizes));
    Conditioning<Tensor> told = Conditioning.stack(arena, rows);
    return model.unet().config().added() == null
        ? told
        : told.with(Conditioning.SIZES, PictureSizes.tensor(arena, sizes));
  }

  /** What the network says of x at a timestep, after guidance: as x, held by the caller. */
  private Tensor predict(
      Arena arena,
      Request request,
      Sampler sampler,
      Tensor x,
      int i,
      double timestep,
      Conditioning<Tensor> conditioning) {
    try (Tape tape = Tape.inference(arena)) {
      boolean guided = isGuided(request);
      Tensor seen = sampler.scaleModelInput(arena, x, i);
      Tensor batch = guided ? Tensor.stack(arena, List.of(seen, seen)) : seen.retain();
      Tensor timesteps = timesteps(arena, timestep, batch.size(0));
      Var output =
          model
              .unet()
              .forward(
                  tape,
                  tape.constant(batch),
                  timesteps,
                  conditioning.map((name, value) -> tape.constant(value)));
      timesteps.release();
      batch.release();
      seen.release();
      return guided
          ? Guidance.combine(arena, output.value(), request.guidance, request.rescale)
          : output.value().retain();
    }
  }

  /** How many pictures of a size are decoded together. */
  public static int atOnce(int width, int height) {
    return (int) Math.max(1, PIXELS_AT_ONCE / ((long) width * height));
  }

  private List<Pixels> decode(Arena arena, Tensor latents) {
    Tensor unscaled =
        WeightedSum.of(arena, new double[] {1 / model.vae().config().scalingFactor()}, latents);
    int factor = model.vae().config().factor();
    int height = (int) latents.size(1) * factor;
    int width = (int) latents.size(2) * factor;
    TiledDecoding tiles = new TiledDecoding(model.vae(), TiledDecoding.SIDE);
    boolean tiled = model.decodesInTiles() && tiles.isLarger(latents.size(1), latents.size(2));
    int atOnce = tiled ? 1 : atOnce(width, height);
    List<Pixels> pictures = new ArrayList<>();
    for (int from = 0; from < latents.size(0); from += atOnce) {
      Tensor rows = unscaled.rows(from, Math.min(atOnce, latents.size(0) - from));
      float[] values = tiled ? tiles.decode(arena, rows) : decodeWhole(arena, rows);
      for (float value : values) {
        if (!Float.isFinite(value)) {
          throw notFinite();
        }
      }
      for (int start = 0; start < values.length; start += width * height * Pixels.CHANNELS) {
        pictures.add(pixels(values, start, width, height));
      }
      rows.release();
    }
    model.rest();
    return pictures;
  }

  private float[] decodeWhole(Arena arena, Tensor rows) {
    try (Tape tape = Tape.inference(arena)) {
      return model.vae().decode(tape, tape.constant(rows)).value().toFloats();
    }
  }

  /** Bytes cannot hold it: the picture would be black, and trained on if it is a class image. */
  private Problem notFinite() {
    String weight = model.firstBadWeight();
    return new Problem(
        Problem.Kind.DIVERGED,
        "the model draws numbers that are not finite; first bad tensor: %s. Get the model anew, or take an earlier one."
            .formatted(weight == null ? "none among the weights" : weight));
  }

  /** −1..1 to bytes as diffusers rounds them. */
  private static Pixels pixels(float[] values, int start, int width, int height) {
    byte[] rgb = new byte[width * height * Pixels.CHANNELS];
    for (int i = 0; i < rgb.length; i++) {
      float unit = Math.min(1, Math.max(0, values[start + i] / 2 + 0.5f));
      rgb[i] = (byte) Math.rint(unit * 255f);
    }
    return new Pixels(width, height, rgb);
  }
}
