package dreambooth4j.config;

import java.util.Locale;

/**
 * The prior loss, which holds the class where the base model had it.
 *
 * @param withPriorPreservation whether class images are made and trained on
 * @param source what the prior loss compares with
 * @param remembers whether the base model's predictions are kept from before the training, for all
 *     weights train then, rather than asked for in each step
 * @param priorLossWeight weight of the prior loss beside the instance loss
 * @param priorLossScale whether that weight falls with the epoch
 * @param priorLossTarget the epoch at which it has fallen to priorLossWeightMin
 * @param priorLossWeightMin where it stays from then on
 * @param sampleBatchSize class images generated at once; 0 leaves it to the memory
 * @param refreshEpochs epochs after which all class images are made anew; 0 for never
 */
public record PriorConfig(
    boolean withPriorPreservation,
    Source source,
    boolean remembers,
    double priorLossWeight,
    boolean priorLossScale,
    int priorLossTarget,
    double priorLossWeightMin,
    int sampleBatchSize,
    int refreshEpochs) {
  static final Section<PriorConfig> KEYS = new Section<>(Key.Group.PRIOR_LOSS);

  static final Key<PriorConfig, Boolean> WITH_PRIOR_PRESERVATION =
      KEYS.key("with_prior_preservation", ValueType.flag(), PriorConfig::withPriorPreservation)
          .otherwise(
              "on where class_token, class_prompt or another key of the class images is given and"
                  + " prior_loss_weight is not 0")
          .diffusers(false)
          .help(
              "Make class images, pictures that the base model draws of the subject's class, and"
                  + " train on them together with the subject's pictures, so that the model does"
                  + " not forget the class. With prior_loss_weight 0, true only measures their"
                  + " loss.");
  static final Key<PriorConfig, Source> PRIOR =
      KEYS.key("prior", ValueType.oneOf(Source.class), PriorConfig::source)
          .standard(Source.CLASS_IMAGES)
          .help(
              "How the class is kept as the base model draws it: class_images are drawn before the"
                  + " training; prediction instead compares with the base model's predictions for"
                  + " the subject's pictures under class prompts, made each step with use_lora,"
                  + " else before the training (num_class_images_per per picture).");
  static final Key<PriorConfig, Double> PRIOR_LOSS_WEIGHT =
      KEYS.key("prior_loss_weight", ValueType.upTo(1e6), PriorConfig::priorLossWeight)
          .standard(0.4)
          .extension(0.75)
          .diffusers(1.0)
          .help(
              "Weight of the class images' loss; that of the subject's pictures has weight 1. A"
                  + " higher one keeps the class better and learns the subject more slowly; 0.15 to"
                  + " 1 is usual.");
  static final Key<PriorConfig, Boolean> PRIOR_LOSS_SCALE =
      KEYS.key("prior_loss_scale", ValueType.flag(), PriorConfig::priorLossScale)
          .standard(false)
          .help(
              "Lower prior_loss_weight linearly with the epochs until it reaches"
                  + " prior_loss_weight_min at epoch prior_loss_target.");
  static final Key<PriorConfig, Integer> PRIOR_LOSS_TARGET =
      KEYS.key("prior_loss_target", ValueType.atLeast(1), PriorConfig::priorLossTarget)
          .standard(100)
          .unit("epochs")
          .help(
              "With prior_loss_scale: the number of epochs after which the weight of the prior"
                  + " loss has fallen to prior_loss_weight_min.");
  static final Key<PriorConfig, Double> PRIOR_LOSS_WEIGHT_MIN =
      KEYS.key("prior_loss_weight_min", ValueType.upTo(1e6), PriorConfig::priorLossWeightMin)
          .standard(0.1)
          .help(
              "With prior_loss_scale: the weight of the prior loss from epoch prior_loss_target"
                  + " on.");
  static final Key<PriorConfig, Integer> SAMPLE_BATCH_SIZE =
      KEYS.key("sample_batch_size", ValueType.whole(0, 4096), PriorConfig::sampleBatchSize)
          .standard(0)
          .extension(1)
          .unit("pictures")
          .decidesNothing()
          .help(
              "Number of class images drawn at a time; 0 chooses a number that is fast and fits"
                  + " into memory. Set a small number if drawing runs out of memory.");
  static final Key<PriorConfig, Integer> REFRESH_EPOCHS =
      KEYS.key("class_images_refresh_epochs", ValueType.atLeast(0), PriorConfig::refreshEpochs)
          .standard(0)
          .unit("epochs")
          .help(
              "Number of epochs after which all class images are replaced by new ones of the base"
                  + " model, so that long runs do not overfit to them; 0 never replaces them.");

  /**
   * The prior loss of a run.
   *
   * @param wanted whether there is a prior loss
   * @param lora whether adapters train around the base model, which can be left out
   */
  static PriorConfig of(Values run, boolean wanted, boolean lora) {
    Source source = run.get(PRIOR);
    if (source == Source.PREDICTION) {
      checkPrediction(run, wanted);
    }
    return new PriorConfig(
        wanted,
        source,
        wanted && source == Source.PREDICTION && !lora,
        run.get(PRIOR_LOSS_WEIGHT),
        run.get(PRIOR_LOSS_SCALE),
        run.get(PRIOR_LOSS_TARGET),
        run.get(PRIOR_LOSS_WEIGHT_MIN),
        run.get(SAMPLE_BATCH_SIZE),
        run.get(REFRESH_EPOCHS));
  }

  private static void checkPrediction(Values run, boolean wanted) {
    if (!wanted) {
      run.error(
          "prior: prediction is learnt under class prompts: give a class_token or class_prompt, or leave out prior");
    }
    if (run.get(REFRESH_EPOCHS) > 0) {
      run.error(
          "class_images_refresh_epochs: there are no class images with prior: prediction: leave it out, or set prior: class_images");
    }
  }

  /** Whether the prior loss compares with what the base model predicts. */
  public boolean predicts() {
    return withPriorPreservation && source == Source.PREDICTION;
  }

  /** Whether the prior loss counts in any epoch. */
  static boolean counts(Values run) {
    boolean grows = run.get(PRIOR_LOSS_SCALE) && run.get(PRIOR_LOSS_WEIGHT_MIN) > 0;
    return run.get(PRIOR_LOSS_WEIGHT) > 0 || grows;
  }

  /** The weight of the prior loss in an epoch, counted from 0 (the extension's linear fall). */
  public double weightAt(int epoch) {
    if (!priorLossScale) {
      return priorLossWeight;
    }
    double fallen = Math.min(1, (double) epoch / priorLossTarget);
    return priorLossWeight * (1 - fallen) + priorLossWeightMin * fallen;
  }

  /** What the prior loss compares with. */
  public enum Source {
    /** Pictures that the base model draws of the class. */
    CLASS_IMAGES,
    /** What the base model predicts of the subject's pictures under class prompts. */
    PREDICTION;

    /** The name in configuration files. */
    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }
}
