package dreambooth4j.config;

import java.util.Locale;

/**
 * The moving average of the trained weights.
 *
 * @param used whether one is kept; then it is what is saved
 * @param decay how much of it stays in each step, at most
 * @param warmup how the decay rises to that
 * @param invGamma of {@link Warmup#POWER}: the larger, the slower
 * @param power of {@link Warmup#POWER}: the larger, the faster
 * @param updateAfterStep steps in which the average is what the weights are
 * @param minDecay what stays of it in each step after these, at least
 */
public record EmaConfig(
    boolean used,
    double decay,
    Warmup warmup,
    double invGamma,
    double power,
    int updateAfterStep,
    double minDecay) {
  /** No average is kept. */
  public static final EmaConfig NONE = new EmaConfig(false, 0.9999, Warmup.NONE, 1, 2.0 / 3, 0, 0);

  static final Section<EmaConfig> KEYS = new Section<>(Key.Group.TRAINING);

  static final Key<EmaConfig, Boolean> USE_EMA =
      KEYS.key("use_ema", ValueType.flag(), EmaConfig::used)
          .standard(false)
          .extension(true)
          .help(
              "Keep an exponential moving average (EMA) of the trained weights; samples are drawn"
                  + " with the average, and it is what is saved. It smooths long runs and takes 4"
                  + " bytes of memory per weight.");

  /** Null where use_ema decides. */
  static final Key<EmaConfig, Boolean> INFER_EMA =
      KEYS.<Boolean>key("infer_ema", ValueType.flag())
          .otherwise("as use_ema")
          .extension(false)
          .help(
              "Save the average that use_ema keeps (a key of sd_dreambooth_extension): with false"
                  + " no average is kept and the trained weights themselves are saved.");

  static final Key<EmaConfig, Double> EMA_DECAY =
      KEYS.key(
              "ema_decay",
              ValueType.number("a number from 0 to below 1", v -> v >= 0 && v < 1),
              EmaConfig::decay)
          .standard(0.9999)
          .alias("ema_max_decay")
          .help(
              "Fraction of the average that is kept in each step after ema_warmup; the rest comes"
                  + " from the current weights. 0.9999 averages over about 10,000 steps; use 0.99"
                  + " for a run of a few hundred steps without ema_warmup.");

  static final Key<EmaConfig, Warmup> EMA_WARMUP =
      KEYS.key("ema_warmup", ValueType.oneOf(Warmup.class), EmaConfig::warmup)
          .standard(Warmup.RATIO)
          .extension(Warmup.NONE)
          .help(
              "How the average's decay rises to ema_decay over the steps s: ratio is (1 + s) / (10"
                  + " + s); power is 1 - (1 + s / ema_inv_gamma)^-ema_power; none starts with"
                  + " ema_decay, so that after a short run the average is still mostly the base"
                  + " model.");

  static final Key<EmaConfig, Double> EMA_INV_GAMMA =
      KEYS.key("ema_inv_gamma", ValueType.number(1e-6, 1e9), EmaConfig::invGamma)
          .standard(1.0)
          .unit("steps")
          .help(
              "With ema_warmup: power, the timescale in steps over which the average's decay rises:"
                  + " the larger it is, the more slowly the decay rises.");

  static final Key<EmaConfig, Double> EMA_POWER =
      KEYS.key("ema_power", ValueType.number(1e-6, 1000), EmaConfig::power)
          .standard(0.75)
          .help(
              "With ema_warmup: power, the exponent with which the average's decay rises: the"
                  + " larger it is, the faster the decay rises.");

  static final Key<EmaConfig, Integer> EMA_UPDATE_AFTER_STEP =
      KEYS.key("ema_update_after_step", ValueType.atLeast(0), EmaConfig::updateAfterStep)
          .standard(0)
          .unit("steps")
          .help(
              "Step after which averaging starts; until then the average equals the current"
                  + " weights, and ema_warmup counts steps from there.");

  static final Key<EmaConfig, Double> EMA_MIN_DECAY =
      KEYS.key(
              "ema_min_decay",
              ValueType.number("a number from 0 to below 1", v -> v >= 0 && v < 1),
              EmaConfig::minDecay)
          .standard(0.0)
          .help(
              "Lower limit of the average's decay: the fraction of the average that each step keeps"
                  + " even at the start of ema_warmup.");

  /** The decay of an update, of which the first is 1, as diffusers' {@code EMAModel} has it. */
  public double decayAt(long update) {
    double s = (double) (update - updateAfterStep - 1);
    double risen =
        switch (warmup) {
          case NONE -> s < 0 ? 0 : 1;
          case RATIO -> s <= 0 ? 0 : (1 + s) / (10 + s);
          case POWER -> s <= 0 ? 0 : 1 - Math.pow(1 + s / invGamma, -power);
        };
    return risen == 0 ? 0 : Math.max(minDecay, Math.min(risen, decay));
  }

  /**
   * The average of a run. The extension keeps one beside the weights where use_ema says so, and
   * takes it for the model only where infer_ema does. A use_ema among the flags decides over a
   * file's infer_ema. Where only one of the two asks for it, that is remarked on.
   */
  static EmaConfig of(Values run) {
    boolean kept = run.get(USE_EMA);
    Boolean said = run.orNull(INFER_EMA);
    boolean flag = run.layer(USE_EMA) > Math.max(0, run.layer(INFER_EMA));
    boolean taken = (said == null || flag) ? kept : said;
    if (kept && !taken && run.has(USE_EMA)) {
      run.remark(
          "use_ema: true, but with infer_ema: false the trained weights themselves are saved, and no average is kept; set infer_ema: true to save the average");
    }
    if (taken && !kept) {
      run.remark(
          "infer_ema: true, but without use_ema: true no average is kept, and the trained weights themselves are saved");
    }
    if (kept
        && taken
        && OptimizerName.of(run.get(OptimizerConfig.OPTIMIZER))
            == OptimizerName.ADAMW_SCHEDULE_FREE) {
      run.error(
          "use_ema: true is not for optimizer: AdamWScheduleFree, which saves an average of its own: leave out use_ema");
    }
    return new EmaConfig(
        kept && taken,
        run.get(EMA_DECAY),
        run.get(EMA_WARMUP),
        run.get(EMA_INV_GAMMA),
        run.get(EMA_POWER),
        run.get(EMA_UPDATE_AFTER_STEP),
        run.get(EMA_MIN_DECAY));
  }

  /** How the decay rises with the number of steps. */
  public enum Warmup {
    /** Not at all: it is constant, as the extension has it. */
    NONE,
    /** (1 + s) / (10 + s), as diffusers' text-to-image script has it. */
    RATIO,
    /** 1 − (1 + s / invGamma)^−power, as diffusers' unconditional script has it. */
    POWER;

    /** The name in configuration files. */
    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }
}
