package dreambooth4j.pipeline;

import dreambooth4j.data.Bucket;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.model.Conditioning;
import java.util.function.BiConsumer;

/**
 * The bytes that drawing and encoding pictures holds at its peak, beside the model: found by doing
 * it with a model in a dry arena.
 */
public final class PictureMemory {
  private final Arena run;
  private final StableDiffusion model;
  private final PromptEncoder prompts;

  /**
   * For one model.
   *
   * @param run the dry arena that the model lies in
   * @param encoding how prompts are encoded
   */
  public PictureMemory(Arena run, StableDiffusion model, TextEncoding encoding) {
    this.run = run;
    this.model = model;
    this.prompts = new PromptEncoder(model, encoding);
  }

  /**
   * Of pictures that are drawn together: one prediction of the UNet, or the VAE's decoding.
   *
   * @param guided whether the UNet sees each twice, with the prompt and the negative one
   */
  public long drawing(Bucket size, int count, boolean guided) {
    int factor = model.vae().config().factor();
    int tile = TiledDecoding.SIDE * factor;
    Bucket decoded =
        model.decodesInTiles()
            ? new Bucket(Math.min(tile, size.width()), Math.min(tile, size.height()))
            : size;
    boolean tiled = !decoded.equals(size);
    int atOnce = tiled ? 1 : Math.min(count, TextToImage.atOnce(size.width(), size.height()));
    long decoding =
        peak(
            (arena, tape) ->
                model.vae().decode(tape, tape.constant(latents(arena, decoded, atOnce))));
    return predicting(size, guided ? 2 * count : count, 2 * count, decoding);
  }

  /** Of predictions of so many noisy pictures at once. */
  public long predicting(Bucket size, int rows) {
    return predicting(size, rows, 2 * rows, 0);
  }

  /**
   * Of predictions, beside latents.
   *
   * @param latents that are held all the time
   * @param other what is held instead of a prediction at another time
   */
  private long predicting(Bucket size, int rows, int latents, long other) {
    long before = run.meter().liveBytes();
    try (Arena drawing = run.child("pictures")) {
      Conditioning<Tensor> told =
          prompts.allShapes(rows).map((name, shape) -> drawing.allocate(name, DType.F32, shape));
      latents(drawing, size, latents); // noise, and what becomes a picture
      long held = run.meter().liveBytes() - before;
      long[] predicting = new long[1];
      model.withSavedWeights(
          () -> predicting[0] = peak((arena, tape) -> predict(arena, tape, size, told, rows)));
      return Math.max(prompt(), held + Math.max(other, predicting[0]));
    }
  }

  /** Of one prompt that is encoded, before there are latents. */
  private long prompt() {
    return peak(
        (arena, tape) ->
            prompts.encode(
                tape,
                prompts
                    .tokenShapes(1)
                    .map((name, shape) -> arena.allocate(name, DType.I64, shape))));
  }

  private void predict(Arena arena, Tape tape, Bucket size, Conditioning<Tensor> told, int rows) {
    Tensor timesteps = arena.allocate("timesteps", DType.F32, rows);
    model
        .unet()
        .forward(
            tape,
            tape.constant(latents(arena, size, rows)),
            timesteps,
            told.map((name, each) -> tape.constant(each)));
  }

  /** Of one picture that becomes latents. */
  public long encoding(Bucket size) {
    return peak(
        (arena, tape) ->
            model
                .vae()
                .encode(
                    tape,
                    tape.constant(
                        arena.allocate("picture", DType.F32, 1, size.height(), size.width(), 3))));
  }

  private long peak(BiConsumer<Arena, Tape> work) {
    long before = run.meter().liveBytes();
    try (Arena arena = run.child("pictures");
        Tape tape = Tape.inference(arena)) {
      return run.meter().peakOf(() -> work.accept(arena, tape)) - before;
    } finally {
      model.rest();
    }
  }

  private Tensor latents(Arena arena, Bucket size, int rows) {
    int factor = model.vae().config().factor();
    return arena.allocate(
        "latents",
        DType.F32,
        rows,
        size.height() / factor,
        size.width() / factor,
        model.vae().config().latentChannels());
  }
}
