package dreambooth4j.cli;

import dreambooth4j.weights.ModelOptions;
import java.nio.file.Path;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** What a model in a single file does not say of itself. */
final class SingleFileOptions {
  /** What --prediction_type takes, by the names of scheduler_config.json. */
  enum Prediction {
    EPSILON,
    V_PREDICTION;

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  @Option(
      names = "--model_config",
      paramLabel = "FOLDER",
      description =
          "Diffusers folder whose configurations and tokenizer a single file has, where it is not"
              + " of the sizes of Stable Diffusion 1, 2 or SDXL.")
  private @Nullable Path config;

  @Option(
      names = "--prediction_type",
      paramLabel = "TYPE",
      description =
          "What the UNet of a single file predicts: ${COMPLETION-CANDIDATES} (what the file says,"
              + " else v_prediction of SD 2 and epsilon of all others).")
  private @Nullable Prediction prediction;

  /** All options by which a model is read. */
  ModelOptions with(@Nullable String variant) {
    return new ModelOptions(variant, config, prediction == null ? null : prediction.toString());
  }
}
