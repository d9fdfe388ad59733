package dreambooth4j.pipeline;

import dreambooth4j.config.ModelConfig;
import dreambooth4j.weights.ModelOptions;
import dreambooth4j.weights.ModelSource;

/** Finds the base model that a configuration names. */
public final class Models {
  private Models() {}

  /**
   * Finds it.
   *
   * @throws dreambooth4j.Problem when none is named, there is none, or it is of a kind that is not
   *     trained here
   */
  public static ModelSource find(ModelConfig model) {
    return ModelSource.find(model.required(), options(model));
  }

  /** How a configuration's models are read. */
  public static ModelOptions options(ModelConfig model) {
    return new ModelOptions(model.variant(), model.modelConfig(), model.predictionType());
  }
}
