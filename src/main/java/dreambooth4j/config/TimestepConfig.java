package dreambooth4j.config;

import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Which amounts of noise are trained, and what the network is asked for.
 *
 * @param velocity whether velocity is predicted whatever the base model predicts
 * @param zeroTerminalSnr whether nothing of a picture is left at the last timestep
 * @param least the first timestep that is drawn
 * @param end the one behind the last; null for all
 * @param distribution how likely each is drawn
 * @param weight of the distribution, where it has one
 * @param bias likewise
 * @param shift moves timesteps towards the noise; 1 leaves them
 */
public record TimestepConfig(
    boolean velocity,
    boolean zeroTerminalSnr,
    int least,
    @Nullable Integer end,
    Distribution distribution,
    double weight,
    double bias,
    double shift) {
  static final Section<TimestepConfig> KEYS = new Section<>(Key.Group.LOSS);

  static final Key<TimestepConfig, Boolean> V_PARAMETERIZATION =
      KEYS.key("v_parameterization", ValueType.flag(), TimestepConfig::velocity)
          .standard(false)
          .help(
              "Train the UNet to predict velocity even if the base model predicts the noise, which"
                  + " takes a long training; the saved model's configuration records it. A base"
                  + " model that predicts velocity is always trained to predict velocity.");
  static final Key<TimestepConfig, Boolean> ZERO_TERMINAL_SNR =
      KEYS.key("zero_terminal_snr", ValueType.flag(), TimestepConfig::zeroTerminalSnr)
          .standard(false)
          .alias("rescale_betas_zero_snr")
          .help(
              "Rescale the noise schedule so that the last timestep is pure noise (Lin et al."
                  + " 2024), which lets a model draw very dark and very bright pictures. Needs a"
                  + " model that predicts velocity; the saved model's configuration records it.");
  static final Key<TimestepConfig, Integer> MIN_TIMESTEP =
      KEYS.key("min_timestep", ValueType.whole(0, 9999), TimestepConfig::least)
          .standard(0)
          .help(
              "Lowest timestep that is trained, from 0 (hardly any noise) to 999 (almost only"
                  + " noise). Raising it leaves out the timesteps at which fine detail is drawn.");
  static final Key<TimestepConfig, Integer> MAX_TIMESTEP =
      KEYS.key("max_timestep", ValueType.whole(1, 10_000), TimestepConfig::end)
          .otherwise("all of the model's, 1000")
          .help(
              "Upper limit of the timesteps, which is itself not trained. Below 1000 the noisiest"
                  + " timesteps, which decide the composition of a picture, are left out.");
  static final Key<TimestepConfig, Distribution> DISTRIBUTION =
      KEYS.key(
              "timestep_distribution",
              ValueType.oneOf(Distribution.class),
              TimestepConfig::distribution)
          .standard(Distribution.UNIFORM)
          .help(
              "How often each timestep is trained, by OneTrainer's names: uniform makes all equally"
                  + " likely; logit_normal, inverted_parabola and cos_map prefer the middle;"
                  + " sigmoid and heavy_tail prefer high noise. noising_weight and noising_bias"
                  + " change their shape.");
  static final Key<TimestepConfig, Double> NOISING_WEIGHT =
      KEYS.key("noising_weight", ValueType.number(-0.99, 100), TimestepConfig::weight)
          .standard(0.0)
          .help(
              "With timestep_distribution: how strongly logit_normal, heavy_tail (up to 1.75),"
                  + " sigmoid and inverted_parabola differ from uniform; uniform and cos_map do not"
                  + " use it.");
  static final Key<TimestepConfig, Double> NOISING_BIAS =
      KEYS.key("noising_bias", ValueType.number(-100, 100), TimestepConfig::bias)
          .standard(0.0)
          .help(
              "With timestep_distribution: shifts the preferred timesteps of logit_normal, sigmoid"
                  + " and inverted_parabola; above 0 towards more noise, below 0 towards less.");
  static final Key<TimestepConfig, Double> TIMESTEP_SHIFT =
      KEYS.key("timestep_shift", ValueType.number(0.01, 100), TimestepConfig::shift)
          .standard(1.0)
          .help(
              "Shifts all timesteps that are trained: above 1 towards more noise, below 1 towards"
                  + " less; 1 changes nothing.");

  static TimestepConfig of(Values run) {
    int least = run.get(MIN_TIMESTEP);
    Integer end = run.orNull(MAX_TIMESTEP);
    if (end != null && end <= least) {
      run.error(
          "max_timestep: %d must be above min_timestep: %d, for the timesteps from the one to below the other are trained"
              .formatted(end, least));
    }
    Distribution distribution = run.get(DISTRIBUTION);
    double weight = run.get(NOISING_WEIGHT);
    if (weight < 0 && distribution != Distribution.LOGIT_NORMAL) {
      run.error("noising_weight: %s must be at least 0".formatted(weight));
    }
    if (weight > 1.75 && distribution == Distribution.HEAVY_TAIL) {
      run.error("noising_weight: %s must be at most 1.75 with heavy_tail".formatted(weight));
    }
    return new TimestepConfig(
        run.get(V_PARAMETERIZATION),
        run.get(ZERO_TERMINAL_SNR),
        least,
        end,
        distribution,
        weight,
        run.get(NOISING_BIAS),
        run.get(TIMESTEP_SHIFT));
  }

  /** How likely timesteps are, in OneTrainer's words. */
  public enum Distribution {
    /** Each alike. */
    UNIFORM,
    /** A logistic curve of normal draws. */
    LOGIT_NORMAL,
    /** More at both ends. */
    HEAVY_TAIL,
    /** Rising towards the noise. */
    SIGMOID,
    /** A hill. */
    INVERTED_PARABOLA,
    /** Stable Diffusion 3's. */
    COS_MAP;

    /** The name in configuration files. */
    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }
}
