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
              "Strength of extra noise that is the same over a whole channel of a picture, which"
                  + " teaches very dark and very bright pictures. 0.05 to 0.1 is usual, the flag"
                  + " without a value means 0.1, 0 adds none.");
  static final Key<NoiseConfig, Boolean> OFFSET_RANDOM =
      KEYS.key("noise_offset_random_strength", ValueType.flag(), NoiseConfig::offsetRandom)
          .standard(false)
          .help("Draw the strength of offset_noise for each picture, evenly from 0 to its value.");
  static final Key<NoiseConfig, Double> OFFSET_ADAPTIVE =
      KEYS.key("adaptive_noise_scale", ValueType.number(-100, 100), NoiseConfig::offsetAdaptive)
          .standard(0.0)
          .help(
              "Change the strength of offset_noise by this times the size of a channel's mean, so"
                  + " that very dark and very bright pictures get more of it, or below 0 less; 0"
                  + " changes nothing.");
  static final Key<NoiseConfig, Boolean> OFFSET_GENERALISED =
      KEYS.key("generalized_offset_noise", ValueType.flag(), NoiseConfig::offsetGeneralised)
          .standard(false)
          .help(
              "Let the strength of offset_noise rise with the timestep up to its value, as the"
                  + " noise itself does (OneTrainer), instead of adding all of it at each.");
  static final Key<NoiseConfig, Integer> MULTIRES_ITERATIONS =
      KEYS.key("multires_noise_iterations", ValueType.whole(0, 32), NoiseConfig::multiresIterations)
          .standard(0)
          .unit("levels")
          .help(
              "Multi-resolution (pyramid) noise: add up to so many levels of coarser and coarser"
                  + " noise, another way to learn dark and bright pictures. 6 to 10 is usual, 0"
                  + " adds none. Steps of it are not captured as CUDA graphs.");
  static final Key<NoiseConfig, Double> MULTIRES_DISCOUNT =
      KEYS.key("multires_noise_discount", ValueType.number(0, 1), NoiseConfig::multiresDiscount)
          .standard(0.3)
          .help(
              "With multires_noise_iterations: what each level counts of the one before it, from 0"
                  + " to 1; 0.1 to 0.3 is usual, and more for many pictures.");
  static final Key<NoiseConfig, Double> IP_NOISE_GAMMA =
      KEYS.key("ip_noise_gamma", ValueType.upTo(10), NoiseConfig::seenPerturbation)
          .standard(0.0)
          .alias("input_perturbation")
          .help(
              "Input perturbation (Ning et al. 2023): how much more noise the UNet sees than it is"
                  + " to predict, so that its own errors in drawing disturb it less. 0.1 is usual,"
                  + " 0 adds none.");
  static final Key<NoiseConfig, Boolean> IP_NOISE_RANDOM =
      KEYS.key(
              "ip_noise_gamma_random_strength",
              ValueType.flag(),
              NoiseConfig::seenPerturbationRandom)
          .standard(false)
          .help("Draw ip_noise_gamma for each picture, evenly from 0 to its value.");
  static final Key<NoiseConfig, Double> PERTURBATION =
      KEYS.key("perturbation_noise_weight", ValueType.upTo(10), NoiseConfig::perturbation)
          .standard(0.0)
          .help(
              "OneTrainer's perturbation: how much more noise is added, which the UNet is to"
                  + " predict too; unlike ip_noise_gamma. 0 adds none.");
  static final Key<NoiseConfig, Boolean> USE_DREAM =
      KEYS.key("use_dream", ValueType.flag(), NoiseConfig::dream)
          .standard(false)
          .alias("dream_training")
          .help(
              "DREAM (Zhou et al. 2023): predict each noisy picture twice, and train on it as the"
                  + " first prediction has moved it, which sharpens details. A step takes about a"
                  + " third more time.");
  static final Key<NoiseConfig, Double> DREAM_DETAIL =
      KEYS.key("dream_detail_preservation", ValueType.number(0, 100), NoiseConfig::dreamDetail)
          .standard(1.0)
          .extension(0.5)
          .help(
              "With use_dream: the power with which its effect falls with the noise; more keeps"
                  + " more detail of the pictures, less sharpens more. 1 is usual.");

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
