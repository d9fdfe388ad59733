package dreambooth4j.weights;

import dreambooth4j.Problem;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * How a model is read where it leaves a choice, or does not say.
 *
 * @param variant of a folder, which of several sets of weights, such as {@code fp16}; null for the
 *     plain one. A component that has none of that variant is read from its plain weights
 * @param config of a single file, a diffusers folder whose configurations and tokenizer are the
 *     model's; null for those of the published models of its family
 * @param prediction of a single file, what its UNet predicts, {@code epsilon} or {@code
 *     v_prediction}; null for what the file says or its family usually does
 */
public record ModelOptions(
    @Nullable String variant, @Nullable Path config, @Nullable String prediction) {
  private static final List<String> PREDICTIONS =
      List.of(SaidPrediction.NOISE, SaidPrediction.VELOCITY);

  /** Checks what the UNet is said to predict. */
  public ModelOptions {
    if (prediction != null && !PREDICTIONS.contains(prediction)) {
      throw Problem.usage(
          "prediction_type must be %s, found %s"
              .formatted(String.join(" or ", PREDICTIONS), prediction));
    }
  }

  /** No choice made. */
  public static final ModelOptions NONE = new ModelOptions(null, null, null);

  /** A variant, and no other choice made. */
  public static ModelOptions variant(@Nullable String variant) {
    return new ModelOptions(variant, null, null);
  }
}
