package dreambooth4j.weights;

import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * What the UNet of a single file predicts, which its shapes do not say: what the user says, else
 * the file itself, else what diffusers takes for granted of its family.
 *
 * @param value {@code epsilon} or {@code v_prediction}
 * @param reason why, in words
 * @param isKnown whether somebody said so, rather than that it is usual
 */
record SaidPrediction(String value, String reason, boolean isKnown) {
  /** Steps after which the published SD 2 that predicts noise was saved. */
  private static final String STEPS_OF_NOISE = "875000";

  static final String NOISE = "epsilon";
  static final String VELOCITY = "v_prediction";

  /** A tensor of no elements, by which ComfyUI and others know an SDXL that predicts velocity. */
  static final String VELOCITY_MARK = "v_pred";

  /** Likewise, that nothing of the picture is left at the last timestep. */
  static final String ZERO_TERMINAL_MARK = "ztsnr";

  /** Latents a side that published models of SD 2 draw which predict noise; the others draw 96. */
  static final int SIDE_OF_NOISE = 64;

  /** Looks for it. */
  static SaidPrediction of(TensorSource file, Family family, ModelOptions options) {
    if (options.prediction() != null) {
      return new SaidPrediction(options.prediction(), "as prediction_type says", true);
    }
    String said = said(file.metadata().get("modelspec.prediction_type"));
    if (said != null) {
      return new SaidPrediction(said, "as its modelspec.prediction_type says", true);
    }
    if (file.tensors().containsKey(VELOCITY_MARK)) {
      return new SaidPrediction(VELOCITY, "as its tensor v_pred says", true);
    }
    if (family != Family.SD2) {
      return new SaidPrediction(NOISE, usual(family), false);
    }
    return STEPS_OF_NOISE.equals(file.metadata().get("global_step"))
        ? new SaidPrediction(NOISE, "as its 875,000 steps say", true)
        : new SaidPrediction(VELOCITY, usual(family), false);
  }

  /** Whether a model predicts velocity, as its scheduler_config.json says. */
  static boolean isVelocity(ModelSource model) {
    return model.config(Component.SCHEDULER).path("prediction_type").asText(NOISE).equals(VELOCITY);
  }

  private static String usual(Family family) {
    return "as usual of %s; set prediction_type if this one does not".formatted(family.title());
  }

  private static @Nullable String said(@Nullable String text) {
    return switch (text == null ? "" : text.toLowerCase(Locale.ROOT)) {
      case "epsilon" -> NOISE;
      case "v", "v_prediction" -> VELOCITY;
      default -> null;
    };
  }
}
