package dreambooth4j.pipeline;

import dreambooth4j.config.Config;
import dreambooth4j.weights.ModelSource;

/** What the weights of a run begin as. */
public enum Origin {
  /** Those of the base model. */
  BASE_MODEL,
  /** Random ones for the UNet and the text encoders, the base model's for all else. */
  UNTRAINED;

  /**
   * Finds what a run begins with.
   *
   * @throws dreambooth4j.Problem as {@link Models#find}
   */
  public ModelSource find(Config config) {
    ModelSource base = Models.find(config.model());
    return this == UNTRAINED ? new UntrainedModel(base, config.training().seed()) : base;
  }
}
