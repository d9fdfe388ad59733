package dreambooth4j.cli;

import dreambooth4j.Printable;
import dreambooth4j.weights.ModelOptions;
import dreambooth4j.weights.ModelSource;
import java.io.PrintWriter;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** How a model is read where it leaves a choice, or does not say. */
final class ModelFlags {
  @Option(
      names = "--variant",
      paramLabel = "TEXT",
      description =
          "Read a folder's weights of this variant, such as fp16: *.fp16.safetensors (the plain"
              + " ones if not given).")
  private @Nullable String variant;

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
          "What the UNet of a single file predicts: epsilon or v_prediction (what the file says,"
              + " else v_prediction of SD 2 and epsilon of all others).")
  private @Nullable String prediction;

  /** The folder that describes a model which is none of the published ones; null if none. */
  @Nullable Path config() {
    return config;
  }

  /** All of them. */
  ModelOptions options() {
    return new ModelOptions(variant, config, prediction);
  }

  /** Finds a model by all of them. */
  ModelSource find(String name) {
    return ModelSource.find(name, options());
  }

  /** Finds a model, and says what was taken for granted of it. */
  ModelSource find(String name, PrintWriter err) {
    return said(find(name), err);
  }

  /** Finds a folder, to which what describes single files does not apply; as the other. */
  ModelSource findFolder(String name, PrintWriter err) {
    return said(ModelSource.find(name, ModelOptions.variant(variant)), err);
  }

  /** A model, after what was taken for granted of it is said. */
  static ModelSource said(ModelSource model, PrintWriter err) {
    model.notes().forEach(each -> err.println(Printable.text(each)));
    err.flush();
    return model;
  }
}
