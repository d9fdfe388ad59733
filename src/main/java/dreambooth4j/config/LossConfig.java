package dreambooth4j.config;

import java.util.Locale;

/**
 * What an error of the prediction costs.
 *
 * @param type the cost of one number that is off
 * @param huberSchedule how the threshold of huber and smooth_l1 changes with the timestep
 * @param huberC that threshold
 * @param huberScale what a constant or exponential threshold is multiplied with
 * @param huberDelta the threshold of classic_huber
 * @param snrGamma min-SNR's gamma; 0 leaves all timesteps their weight
 * @param debiased debiased estimation, and whose
 * @param p2Gamma P2's gamma; 0 leaves all timesteps their weight
 * @param scaleVLikeNoise whether the velocity's error counts as the noise's would
 * @param vLikeLoss strength of the velocity's loss beside the noise's; 0 for none
 * @param splitLoss whether instance and class rows are averaged apart
 * @param masked whether places of instance pictures count by their masks
 * @param unmaskedWeight what places outside of a mask count at least
 * @param normalizesMasks whether a masked picture counts as much as another
 * @param maskedPrior what it counts to differ from the base model outside of masks
 */
public record LossConfig(
    Type type,
    HuberSchedule huberSchedule,
    double huberC,
    double huberScale,
    double huberDelta,
    double snrGamma,
    Debiased debiased,
    double p2Gamma,
    boolean scaleVLikeNoise,
    double vLikeLoss,
    boolean splitLoss,
    boolean masked,
    double unmaskedWeight,
    boolean normalizesMasks,
    double maskedPrior) {
  static final Section<LossConfig> KEYS = new Section<>(Key.Group.LOSS);

  static final Key<LossConfig, Type> LOSS_TYPE =
      KEYS.key("loss_type", ValueType.oneOf(Type.class), LossConfig::type)
          .standard(Type.L2)
          .help(
              "Loss function: l2 is the squared error, l1 the absolute error; huber and smooth_l1"
                  + " (kohya's) are squared up to about huber_c and absolute above; classic_huber"
                  + " (OneTrainer's) switches exactly at huber_delta; log_cosh at about 1. All but"
                  + " l2 give less weight to unusual pictures.");
  static final Key<LossConfig, HuberSchedule> HUBER_SCHEDULE =
      KEYS.key("huber_schedule", ValueType.oneOf(HuberSchedule.class), LossConfig::huberSchedule)
          .standard(HuberSchedule.SNR)
          .help(
              "With loss_type: huber or smooth_l1, how the threshold between squared and absolute"
                  + " error depends on the timestep: constant is huber_c at all timesteps;"
                  + " exponential falls from 1 to huber_c; snr falls from 1 to huber_c as the noise"
                  + " increases.");
  static final Key<LossConfig, Double> HUBER_C =
      KEYS.key("huber_c", ValueType.number(1e-6, 1e6), LossConfig::huberC)
          .standard(0.1)
          .help(
              "With loss_type: huber or smooth_l1, the size of an error above which the loss grows"
                  + " linearly instead of quadratically; see huber_schedule.");
  static final Key<LossConfig, Double> HUBER_SCALE =
      KEYS.key("huber_scale", ValueType.number(1e-6, 1e6), LossConfig::huberScale)
          .standard(1.0)
          .help(
              "With huber_schedule: constant or exponential, a factor for the threshold between"
                  + " squared and absolute error.");
  static final Key<LossConfig, Double> HUBER_DELTA =
      KEYS.key("huber_delta", ValueType.number(1e-6, 1e6), LossConfig::huberDelta)
          .standard(1.0)
          .help(
              "With loss_type: classic_huber, the size of an error above which the loss grows"
                  + " linearly instead of quadratically.");
  static final Key<LossConfig, Double> SNR_GAMMA =
      KEYS.key("snr_gamma", ValueType.upTo(1e6), LossConfig::snrGamma)
          .standard(0.0)
          .alias("min_snr_gamma")
          .help(
              "Min-SNR loss weighting (Hang et al. 2023): timesteps with a signal-to-noise ratio"
                  + " above this count less. 5 is usual; 0 weighs all timesteps the same.");
  static final Key<LossConfig, Debiased> DEBIASED =
      KEYS.key("debiased_estimation_loss", ValueType.flagOr(Debiased.class), LossConfig::debiased)
          .standard(Debiased.FALSE)
          .help(
              "Debiased estimation (Yu et al. 2024) weights timesteps by noise: the less noise, the"
                  + " less a timestep counts. true is kohya's formula; onetrainer is OneTrainer's,"
                  + " which differs for models that predict velocity.");
  static final Key<LossConfig, Double> P2_GAMMA =
      KEYS.key("p2_gamma", ValueType.upTo(100), LossConfig::p2Gamma)
          .standard(0.0)
          .help(
              "P2 loss weighting (Choi et al. 2022): timesteps with little noise count less, by"
                  + " the power of this; 1 is usual, 0 weighs all timesteps the same.");
  static final Key<LossConfig, Boolean> SCALE_V =
      KEYS.key("scale_v_pred_loss_like_noise_pred", ValueType.flag(), LossConfig::scaleVLikeNoise)
          .standard(false)
          .help(
              "Weigh the timesteps of a model that predicts velocity as if it predicted the noise;"
                  + " refused for models that predict the noise.");
  static final Key<LossConfig, Double> V_PRED_LIKE_LOSS =
      KEYS.key("v_pred_like_loss", ValueType.upTo(1e6), LossConfig::vLikeLoss)
          .standard(0.0)
          .help(
              "Add the loss that a model which predicts velocity would have, times this, to that"
                  + " of a model that predicts the noise; 0 adds none.");
  static final Key<LossConfig, Boolean> SPLIT_LOSS =
      KEYS.key("split_loss", ValueType.flag(), LossConfig::splitLoss)
          .standard(true)
          .help(
              "Average the losses of the subject's pictures and of the class images separately and"
                  + " add them, the latter times prior_loss_weight. false averages all rows of a"
                  + " batch together and multiplies by the mean of their weights, as"
                  + " sd_dreambooth_extension does.");

  static final Key<LossConfig, Boolean> MASKED_LOSS =
      KEYS.key("masked_loss", ValueType.flag(), LossConfig::masked)
          .standard(false)
          .alias("masked_training", "alpha_mask")
          .help(
              "Learn only from the part of a subject's picture that its mask shows: 01.mask.png"
                  + " (or another picture format) beside 01.jpg, white where it counts, or else the"
                  + " transparency of the picture itself. Class images, and pictures without a mask, count whole.");
  static final Key<LossConfig, Double> UNMASKED_WEIGHT =
      KEYS.key("unmasked_weight", ValueType.number(0, 1), LossConfig::unmaskedWeight)
          .standard(0.0)
          .help(
              "With masked_loss: weight of the loss outside the mask, from 0 to 1. kohya's scripts"
                  + " use 0, OneTrainer usually 0.1.");
  static final Key<LossConfig, Boolean> NORMALIZE_MASKS =
      KEYS.key("normalize_masked_area_loss", ValueType.flag(), LossConfig::normalizesMasks)
          .standard(false)
          .help(
              "With masked_loss: divide each picture's loss by the area of its mask, so that"
                  + " pictures with small masks count as much as those with large ones, like"
                  + " OneTrainer's option of this name.");

  static final Key<LossConfig, Double> MASKED_PRIOR =
      KEYS.key("masked_prior_preservation_weight", ValueType.number(0, 1), LossConfig::maskedPrior)
          .standard(0.0)
          .help(
              "With masked_loss and use_lora: weight, from 0 to 1, of a loss that keeps the"
                  + " prediction outside the mask as the base model's, like OneTrainer's option of"
                  + " this name. Set unmasked_weight low with it. Takes a second forward pass per"
                  + " step.");

  static LossConfig of(Values run) {
    return new LossConfig(
        run.get(LOSS_TYPE),
        run.get(HUBER_SCHEDULE),
        run.get(HUBER_C),
        run.get(HUBER_SCALE),
        run.get(HUBER_DELTA),
        run.get(SNR_GAMMA),
        run.get(DEBIASED),
        run.get(P2_GAMMA),
        run.get(SCALE_V),
        run.get(V_PRED_LIKE_LOSS),
        run.get(SPLIT_LOSS),
        run.get(MASKED_LOSS),
        run.get(UNMASKED_WEIGHT),
        run.get(NORMALIZE_MASKS),
        run.get(MASKED_PRIOR));
  }

  /** What else a run must be in which the base model is asked outside of masks. */
  void check(Values run, LoraConfig lora) {
    if (maskedPrior == 0) {
      return;
    }
    String key = "masked_prior_preservation_weight: " + maskedPrior;
    if (!masked) {
      run.error(key + " is about what lies outside of masks: set masked_loss: true too");
    }
    if (!lora.used()) {
      run.error(
          key
              + " asks the base model beside what trains, as LoRA has it: set use_lora: true, or unmasked_weight instead of it");
    }
    if (normalizesMasks) {
      run.error(
          key
              + " is not done with normalize_masked_area_loss, which changes what a mask's places count: leave out one of the two");
    }
  }

  /** The cost of one number that is off by d. */
  public enum Type {
    /** d². */
    L2,
    /** |d|. */
    L1,
    /** 2c(√(d² + c²) − c), kohya's. */
    HUBER,
    /** 2(√(d² + c²) − c), kohya's. */
    SMOOTH_L1,
    /** ln cosh d, OneTrainer's. */
    LOG_COSH,
    /** d²/2 up to δ, a line beyond: OneTrainer's. */
    CLASSIC_HUBER;

    /** The name in configuration files. */
    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** How a threshold changes with the timestep, in kohya's words. */
  public enum HuberSchedule {
    /** Not at all. */
    CONSTANT,
    /** Exponentially. */
    EXPONENTIAL,
    /** With the signal to noise ratio. */
    SNR;

    /** The name in configuration files. */
    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** Debiased estimation. */
  public enum Debiased {
    /** None. */
    FALSE,
    /** By kohya's formula. */
    TRUE,
    /** By OneTrainer's. */
    ONETRAINER;

    /** The name in configuration files. */
    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }
}
