package dreambooth4j.pipeline;

import dreambooth4j.data.Parallel;
import dreambooth4j.data.Pixels;
import dreambooth4j.data.View;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.model.VaeConfig;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.TensorCache;
import java.nio.file.Path;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The VAE's moments of pictures, each computed once, from which every step draws latents anew: as
 * diffusers does with {@code latent_dist.sample()}, without encoding the picture again.
 */
public final class LatentCache implements Encoded<View> {
  /** To be raised when the same pixels and weights would come out as other moments than before. */
  private static final int VERSION = 2;

  private static final double LEAST_LOG_VARIANCE = -30;
  private static final double MOST_LOG_VARIANCE = 20;

  private final TensorCache cache;
  private final StableDiffusion model;
  private final String encoder;
  private final Map<Path, View.Source> sources = new HashMap<>();

  /** {@code weights} names the VAE's weights where the cache outlives them. */
  public LatentCache(TensorCache cache, StableDiffusion model, String weights) {
    this.cache = cache;
    this.model = model;
    this.encoder =
        "moments %d, %s by %s %s"
            .formatted(
                VERSION, model.parameters(Component.VAE).dtype(), model.vae().config(), weights);
  }

  @Override
  public TensorCache cache() {
    return cache;
  }

  /**
   * Which of these pictures are not encoded yet; looks at several files at once.
   *
   * @throws dreambooth4j.Problem if one cannot be read
   */
  @Override
  public List<View> missing(Collection<View> pictures) {
    List<Path> files =
        pictures.stream().map(View::file).distinct().filter(f -> !sources.containsKey(f)).toList();
    List<View.Source> read = Parallel.map(files, View.Source::of);
    for (int i = 0; i < files.size(); i++) {
      sources.put(files.get(i), read.get(i));
    }
    return pictures.stream().filter(picture -> !cache.has(content(picture))).toList();
  }

  /** All that the moments of a picture are computed from, in a line. */
  public String content(View picture) {
    View.Source source = sources.computeIfAbsent(picture.file(), View.Source::of);
    return encoder + " of " + picture.content(source);
  }

  @Override
  public void fill(View picture) {
    get(picture).release();
  }

  /**
   * The moments of a picture: F32 [1, h, w, 2 · channels], mean then logarithm of the variance;
   * held by the caller. A file that changes while this cache lives is not looked at again.
   */
  public Tensor get(View picture) {
    VaeConfig vae = model.vae().config();
    long[] shape = {
      1,
      picture.bucket().height() / vae.factor(),
      picture.bucket().width() / vae.factor(),
      2L * vae.latentChannels()
    };
    return cache.get(content(picture), shape, () -> encode(cache.arena(), picture.read()));
  }

  /** The moments of a picture that will not come again, as {@link #get}; the caller holds them. */
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
  public static void draw(VaeConfig vae, Tensor moments, float[] noise, float[] out, int offset) {
    float[] values = moments.toFloats();
    int channels = vae.latentChannels();
    double scale = vae.scalingFactor();
    for (int i = 0; i < noise.length; i++) {
      int at = i / channels * 2 * channels + i % channels;
      double logVariance =
          Math.min(MOST_LOG_VARIANCE, Math.max(LEAST_LOG_VARIANCE, values[at + channels]));
      double latent = values[at] + StrictMath.exp(0.5 * logVariance) * noise[i];
      out[offset + i] = (float) (latent * scale);
    }
  }
}
