package dreambooth4j.pipeline;

import dreambooth4j.config.Config;
import dreambooth4j.data.View;
import dreambooth4j.engine.Arena;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.ModelSource;
import dreambooth4j.weights.TensorCache;
import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;

/** What a run computes once: moments of pictures and the conditioning of prompts. */
public final class Caches {
  /** Is told what {@link #fill} finds and does. */
  public interface Listener {
    /** Is told what is made, and not what is there. */
    static Listener ofMade(Listener all) {
      return new Listener() {
        @Override
        public void cached(String what, int there, int of, Path folder) {}

        @Override
        public void encoded(String what, int done, int missing) {
          all.encoded(what, done, missing);
        }
      };
    }

    /** So many of all are there already; {@code what} is a word in the plural. */
    void cached(String what, int there, int all, Path folder);

    /** So many of those that were missing are there now. */
    void encoded(String what, int done, int missing);
  }

  private final StableDiffusion model;
  private final boolean textTrains;
  private final LatentCache latents;
  private final PromptCache prompts;
  private final TensorCache tensors;
  private final String weights;

  /**
   * On disk where the configuration says so, otherwise in {@code run}. What a text encoder that
   * trains says is never on disk: its weights have no name.
   *
   * @param base the model's folder
   * @param note is told what stops nothing
   */
  public Caches(
      Arena run, Config config, ModelSource base, StableDiffusion model, Consumer<String> note) {
    this.model = model;
    textTrains = config.promptsLearn();
    Path folder = config.output().cacheDir();
    TensorCache disk = folder == null ? null : TensorCache.in(folder, run, note);
    tensors = disk == null ? TensorCache.inMemory(run) : disk;
    weights =
        disk != null && config.prior().remembers()
            ? base.fingerprint(Component.UNET) + " with " + PromptEncoder.fingerprint(base)
            : "";
    PromptEncoder encoder = new PromptEncoder(model, TextEncoding.ofCaptions(config));
    if (disk == null) {
      latents = new LatentCache(TensorCache.inMemory(run), model, "");
    } else {
      latents = new LatentCache(disk, model, base.fingerprint(Component.VAE));
    }
    if (disk == null || textTrains) {
      prompts = new PromptCache(TensorCache.inMemory(run), encoder, "");
    } else {
      prompts = new PromptCache(disk, encoder, PromptEncoder.fingerprint(base));
    }
  }

  /** Where all else that is computed once may be kept. */
  public TensorCache tensors() {
    return tensors;
  }

  /** Names the weights of the base model where the base model's predictions outlive them. */
  public String weights() {
    return weights;
  }

  /** Moments of pictures. */
  public LatentCache latents() {
    return latents;
  }

  /** What the UNet is told of prompts. */
  public PromptCache prompts() {
    return prompts;
  }

  /**
   * Encodes what is not on disk yet, so that steps only read; what is kept in memory is encoded
   * when a step needs it, unless the model would have to be read again for that.
   *
   * @param stop looked at after each; true leaves the rest for another time
   */
  public void fill(
      Collection<View> views, Collection<String> texts, Listener listener, BooleanSupplier stop) {
    fill("latents", latents, views, listener, stop);
    model.rest();
    if (!textTrains) { // what trains says other things once a step needs them
      fill("prompts", prompts, texts, listener, stop);
      model.rest();
    }
  }

  private <T> void fill(
      String what, Encoded<T> encoded, Collection<T> all, Listener listener, BooleanSupplier stop) {
    Path folder = encoded.cache().folder();
    if ((folder == null && !model.unloads()) || all.isEmpty() || stop.getAsBoolean()) {
      return;
    }
    List<T> missing = encoded.missing(all);
    if (folder != null) {
      listener.cached(what, all.size() - missing.size(), all.size(), folder);
    }
    for (int i = 0; i < missing.size() && !stop.getAsBoolean(); i++) {
      if (!encoded.cache().isWritable() && !model.unloads()) {
        return; // into memory only what is needed, and when
      }
      encoded.fill(missing.get(i));
      listener.encoded(what, i + 1, missing.size());
    }
  }
}
