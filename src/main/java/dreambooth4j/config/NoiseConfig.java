package dreambooth4j.config;

/**
 * The noise that pictures are trained with.
 *
 * @param offset standard deviation of the noise added to whole channels; 0 adds none
 * @param offsetRandom whether that is another part of it for each picture
 * @param offsetAdaptive added to it, times the size of the channel's mean
 * @param offsetGeneralised whether it depends on the timestep
 * @param multiresIterations levels of multi-resolution noise at most; 0 for none
 * @param multiresDiscount what each level counts of the one before
 * @param seenPerturbation noise on the noise that is seen and not in the target; 0 for none
 * @param seenPerturbationRandom whether that is another part of it for each picture
 * @param perturbation noise on the noise, in the target too; 0 for none
 * @param dream whether the network's own first prediction moves the noise (DREAM)
 * @param dreamDetail how much detail DREAM preserves
 */
public record NoiseConfig(
    double offset,
    boolean offsetRandom,
    double offsetAdaptive,
    boolean offsetGeneralised,
    int multiresIterations,
    double multiresDiscount,
    double seenPerturbation,
    boolean seenPerturbationRandom,
    double perturbation,
    boolean dream,
    double dreamDetail) {
  static final Section<NoiseConfig> KEYS = new Section<>(Key.Group.LOSS);

  static final Key<NoiseConfig, Double> OFFSET_NOISE =
      KEYS.key("offset_noise", ValueType.upToOrFlag(100, 0.1), NoiseConfig::offset)
          .standard(0.0)
          .help(
              "Strength of extra noise that is constant over each channel of a picture, so that the"
                  + " model can learn very dark and very bright pictures. 0.05 to 0.1 is usual, the"
                  + " flag without a value means 0.1, 0 adds none.");
  static final Key<NoiseConfig, Boolean> OFFSET_RANDOM =
      KEYS.key("noise_offset_random_strength", ValueType.flag(), NoiseConfig::offsetRandom)
          .standard(false)
          .help(
              "Draw the strength of offset_noise for each picture at random, uniformly from 0 to"
                  + " its value.");
  static final Key<NoiseConfig, Double> OFFSET_ADAPTIVE =
      KEYS.key("adaptive_noise_scale", ValueType.number(-100, 100), NoiseConfig::offsetAdaptive)
          .standard(0.0)
          .help(
              "Add this times the absolute mean of each channel to the strength of offset_noise, so"
                  + " that very dark and very bright pictures get more of it, or less if it is"
                  + " negative; 0 adds nothing.");
  static final Key<NoiseConfig, Boolean> OFFSET_GENERALISED =
      KEYS.key("generalized_offset_noise", ValueType.flag(), NoiseConfig::offsetGeneralised)
          .standard(false)
          .help(
              "Let the strength of offset_noise rise with the timestep up to its value, as the"
                  + " noise itself does (OneTrainer's option of this name), instead of using its"
                  + " full value at every timestep.");
  static final Key<NoiseConfig, Integer> MULTIRES_ITERATIONS =
      KEYS.key("multires_noise_iterations", ValueType.whole(0, 32), NoiseConfig::multiresIterations)
          .standard(0)
          .unit("levels")
          .help(
              "Multi-resolution (pyramid) noise: add up to this many levels of increasingly coarse"
                  + " noise, another way to learn dark and bright pictures. 6 to 10 is usual, 0"
                  + " adds none. Such steps cannot be captured as a CUDA graph.");
  static final Key<NoiseConfig, Double> MULTIRES_DISCOUNT =
      KEYS.key("multires_noise_discount", ValueType.number(0, 1), NoiseConfig::multiresDiscount)
          .standard(0.3)
          .help(
              "With multires_noise_iterations: strength of each level relative to the next finer"
                  + " one, from 0 to 1; 0.1 to 0.3 is usual, and more with many pictures.");
  static final Key<NoiseConfig, Double> IP_NOISE_GAMMA =
      KEYS.key("ip_noise_gamma", ValueType.upTo(10), NoiseConfig::seenPerturbation)
          .standard(0.0)
          .alias("input_perturbation")
          .help(
              "Input perturbation (Ning et al. 2023): strength of extra noise in the UNet's input"
                  + " that it is not asked to predict, so that its own errors matter less when it"
                  + " draws. 0.1 is usual, 0 adds none.");
  static final Key<NoiseConfig, Boolean> IP_NOISE_RANDOM =
      KEYS.key(
              "ip_noise_gamma_random_strength",
              ValueType.flag(),
              NoiseConfig::seenPerturbationRandom)
          .standard(false)
          .help("Draw ip_noise_gamma for each picture at random, uniformly from 0 to its value.");
  static final Key<NoiseConfig, Double> PERTURBATION =
      KEYS.key("perturbation_noise_weight", ValueType.upTo(10), NoiseConfig::perturbation)
          .standard(0.0)
          .help(
              "OneTrainer's perturbation: strength of extra noise in the UNet's input that it is"
                  + " also asked to predict, unlike that of ip_noise_gamma. 0 adds none.");
  static final Key<NoiseConfig, Boolean> USE_DREAM =
      KEYS.key("use_dream", ValueType.flag(), NoiseConfig::dream)
          .standard(false)
          .alias("dream_training")
          .help(
              "DREAM (Zhou et al. 2023): predict each noisy picture, correct its input and target"
                  + " by that prediction, and train on the result, which sharpens details. A step"
                  + " takes about a third longer.");
  static final Key<NoiseConfig, Double> DREAM_DETAIL =
      KEYS.key("dream_detail_preservation", ValueType.number(0, 100), NoiseConfig::dreamDetail)
          .standard(1.0)
          .extension(0.5)
          .help(
              "With use_dream: the exponent with which its effect falls towards timesteps with"
                  + " little noise; a higher one preserves more detail of the pictures, a lower one"
                  + " sharpens more. 1 is usual.");

  static NoiseConfig of(Values run) {
    return new NoiseConfig(
        run.get(OFFSET_NOISE),
        run.get(OFFSET_RANDOM),
        run.get(OFFSET_ADAPTIVE),
        run.get(OFFSET_GENERALISED),
        run.get(MULTIRES_ITERATIONS),
        run.get(MULTIRES_DISCOUNT),
        run.get(IP_NOISE_GAMMA),
        run.get(IP_NOISE_RANDOM),
        run.get(PERTURBATION),
        run.get(USE_DREAM),
        run.get(DREAM_DETAIL));
  }
}
