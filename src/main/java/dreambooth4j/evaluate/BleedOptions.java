package dreambooth4j.evaluate;

import dreambooth4j.data.Bucket;
import dreambooth4j.engine.Device;
import dreambooth4j.pipeline.VisionFolder;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * How two models are compared.
 *
 * @param seed of the first noise; each of the others has the next one
 * @param seeds noises that each prompt is asked with
 * @param timesteps at which each is asked
 * @param pictures of each prompt that both models draw; 0 draws none
 * @param picturesOf kinds of prompts that are drawn; the subject's is drawn with any of them
 * @param steps of the sampler that draws them
 * @param guidance of these pictures
 * @param features a CLIP or DINOv2 model that pictures are compared by too, beside the base model;
 *     null for none
 * @param size of everything in pixels; null for what the base model was trained on
 */
public record BleedOptions(
    long seed,
    int seeds,
    int timesteps,
    int pictures,
    Set<Probe.Kind> picturesOf,
    int steps,
    double guidance,
    @Nullable VisionFolder features,
    @Nullable Bucket size,
    Device device) {
  /** Whether both models draw pictures of this prompt. */
  boolean draws(Probe probe) {
    return pictures > 0
        && (probe.kind() == Probe.Kind.SUBJECT || picturesOf.contains(probe.kind()));
  }
}
