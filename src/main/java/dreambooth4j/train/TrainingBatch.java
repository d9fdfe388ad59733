package dreambooth4j.train;

import dreambooth4j.engine.Tensor;
import dreambooth4j.model.Conditioning;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * What one batch is trained on: instance rows first, then as many or fewer prior rows. B rows.
 *
 * @param latents F32 [B, h, w, channels], scaled by the VAE's factor
 * @param prompts what the UNet is told, by name, or {@link Conditioning#TOKENS} in place of what
 *     text encoders that train make of them
 * @param rowIndex of each row in the step, which its draws are a function of: 2p for the instance
 *     row of pair p, 2p + 1 for its class image
 * @param lossWeights what each row's error is multiplied with, such as its concept's weight
 * @param mask what each place of the latents counts, F32 [B, h, w]; null where all count alike
 * @param known what prior rows are compared with, known before; null where that is drawn too
 * @param given recorded noise and timesteps to take instead of drawing; null in a run
 */
@SuppressWarnings("ArrayRecordComponent") // a carrier from the data to the step, never compared
public record TrainingBatch(
    Tensor latents,
    Conditioning<Tensor> prompts,
    int instanceRows,
    int[] rowIndex,
    float[] lossWeights,
    @Nullable Tensor mask,
    @Nullable Known known,
    @Nullable Given given) {
  /**
   * Prior rows that were noised and predicted before; their latents are not looked at.
   *
   * @param noisy F32 [prior rows, h, w, channels]
   * @param targets what was predicted of them, of the same shape
   * @param timesteps one a prior row
   */
  @SuppressWarnings("ArrayRecordComponent") // as above
  public record Known(Tensor noisy, Tensor targets, long[] timesteps) {}

  /**
   * Recorded draws.
   *
   * @param noise F32 [B, h, w, channels]
   * @param timesteps one a row
   * @param shifts F32 with B · channels elements, for offset noise; null without
   */
  @SuppressWarnings("ArrayRecordComponent") // as above
  public record Given(Tensor noise, long[] timesteps, @Nullable Tensor shifts) {}

  /** Pairs in order whose rows all count the same, by recorded draws or, for null, drawn. */
  public static TrainingBatch of(
      Tensor latents, Conditioning<Tensor> prompts, int instanceRows, @Nullable Given given) {
    int rows = (int) latents.size(0);
    int[] index =
        IntStream.range(0, rows)
            .map(row -> row < instanceRows ? 2 * row : 2 * (row - instanceRows) + 1)
            .toArray();
    float[] weights = new float[rows];
    Arrays.fill(weights, 1);
    return new TrainingBatch(latents, prompts, instanceRows, index, weights, null, null, given);
  }

  /** The same with prior rows that are known. */
  TrainingBatch with(Known prior) {
    return new TrainingBatch(
        latents, prompts, instanceRows, rowIndex, lossWeights, mask, prior, given);
  }

  /** The same with this mask, F32 [B, h, w]. */
  TrainingBatch with(Tensor mask) {
    return new TrainingBatch(
        latents, prompts, instanceRows, rowIndex, lossWeights, mask, known, given);
  }

  /** Instance and prior rows. */
  int rows() {
    return rowIndex.length;
  }

  /** Whether the prompts are token ids, for a text encoder that trains. */
  boolean hasTokens() {
    return prompts.named().containsKey(Conditioning.TOKENS);
  }
}
