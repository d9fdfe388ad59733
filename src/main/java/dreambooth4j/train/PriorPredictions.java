package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.Sha256;
import dreambooth4j.config.Config;
import dreambooth4j.engine.Tensor;
import dreambooth4j.pipeline.Caches;
import dreambooth4j.pipeline.StableDiffusion;
import dreambooth4j.weights.Component;
import dreambooth4j.weights.TensorCache;
import java.util.Arrays;
import java.util.function.Supplier;

/**
 * What the base model predicts of noisy pictures under class prompts, kept from before its weights
 * train: {@code prior: prediction} where there are no adapters that could be left out meanwhile.
 * Each is known by all that it was computed from, and lies with the noisy picture that it is of.
 */
final class PriorPredictions {
  /** To be raised when the same draws and weights would give another prediction than before. */
  private static final int VERSION = 1;

  /**
   * A prediction.
   *
   * @param noisy the picture that it is of, [h, w, channels]
   * @param target what was predicted, of the same shape
   */
  @SuppressWarnings("ArrayRecordComponent") // a carrier, never compared
  record Prediction(float[] noisy, float[] target, long timestep) {}

  private final TensorCache cache;
  private final String how;

  /** Those of a run; the model is what the caches say it was made of. */
  PriorPredictions(Config config, StableDiffusion model, Caches caches) {
    cache = caches.tensors();
    how =
        "prediction %d, %s by %s %s, schedule %s, seed %d, %s, %s, prompts %s"
            .formatted(
                VERSION,
                model.parameters(Component.UNET).dtype(),
                model.unet().config(),
                caches.weights(),
                model.scheduler().values(),
                config.training().seed(),
                config.noise(),
                config.timesteps(),
                caches.prompts().described());
  }

  /** Where they are kept. */
  TensorCache cache() {
    return cache;
  }

  /**
   * All that a prediction is computed from, in a line.
   *
   * @param latents what the latents are drawn from
   * @param draw number of the draws that make it a noisy picture, in place of a step's
   * @param row of these draws
   */
  String content(String latents, String prompt, int draw, int row) {
    return "%s, draw %d of row %d, of %s under %s"
        .formatted(how, draw, row, latents, Sha256.of(prompt));
  }

  /**
   * Sees to it that a prediction is there.
   *
   * @param elements of the latents
   * @param ask makes it, as {@link Training#predict} does, where it is not there or damaged
   */
  void fill(String content, int elements, Supplier<Tensor> ask) {
    cache.get(content, new long[] {2L * elements + 1}, ask).release();
  }

  /** A prediction that {@link #fill} was called for. */
  Prediction get(String content, int elements) {
    Tensor kept =
        cache.get(
            content,
            new long[] {2L * elements + 1},
            () -> {
              throw Problem.data(
                  "a prediction of the base model in the cache %s is missing or damaged, and cannot be computed again while the model trains: continue with resume_from_checkpoint: latest, which computes it before it trains"
                      .formatted(cache.folder()));
            });
    float[] all = kept.toFloats();
    kept.release();
    return new Prediction(
        Arrays.copyOf(all, elements),
        Arrays.copyOfRange(all, elements, 2 * elements),
        (long) all[2 * elements]);
  }
}
