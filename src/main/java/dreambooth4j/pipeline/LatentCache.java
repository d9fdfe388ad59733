package dreambooth4j.pipeline;

import dreambooth4j.data.Pixels;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Supplier;

/**
 * The VAE's moments of pictures, each computed once, from which every step draws latents anew: as
 * diffusers does with {@code latent_dist.sample()}, without encoding the picture again.
 */
public final class LatentCache {
  private static final double LEAST_LOG_VARIANCE = -30;
  private static final double MOST_LOG_VARIANCE = 20;

  private final Arena arena;
  private final StableDiffusion model;
  private final Map<Object, Tensor> moments = new HashMap<>();

  /** What it remembers is held in {@code arena}. */
  public LatentCache(Arena arena, StableDiffusion model) {
    this.arena = arena;
    this.model = model;
  }

  /**
   * The moments of a picture: F32 [1, h, w, 2 · channels], mean then logarithm of the variance; the
   * cache keeps holding them.
   *
   * @param key names the picture as it is seen: its file, bucket and whether it is mirrored
   * @param picture reads it, where it is not known yet
   */
  public Tensor moments(Object key, Supplier<Pixels> picture) {
    return moments.computeIfAbsent(key, k -> encode(arena, picture.get()));
  }

  /**
   * The moments of a picture that will not come again, as {@link #moments}; the caller holds them.
   */
  public Tensor encode(Arena step, Pixels picture) {
    Tensor pixels =
        step.floats("picture", picture.toFloats(), 1, picture.height(), picture.width(), 3);
    try (Tape tape = Tape.inference(step)) {
      return model.vae().encode(tape, tape.constant(pixels)).value().retain();
    } finally {
      pixels.release();
    }
  }

  /**
   * Draws latents, scaled as the UNet learns them: (mean + deviation · noise) · scaling factor.
   *
   * @param noise one normal draw an element of the latents
   * @param out where they go, in the order [h, w, channels], from {@code offset} on
   */
  public void draw(Tensor moments, float[] noise, float[] out, int offset) {
    float[] values = moments.toFloats();
    int channels = (int) moments.size(-1) / 2;
    double scale = model.vae().config().scalingFactor();
    for (int i = 0; i < noise.length; i++) {
      int at = i / channels * 2 * channels + i % channels;
      double logVariance =
          Math.min(MOST_LOG_VARIANCE, Math.max(LEAST_LOG_VARIANCE, values[at + channels]));
      double latent = values[at] + StrictMath.exp(0.5 * logVariance) * noise[i];
      out[offset + i] = (float) (latent * scale);
    }
  }
}
