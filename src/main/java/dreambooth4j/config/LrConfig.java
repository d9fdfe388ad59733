package dreambooth4j.config;

import dreambooth4j.config.Layer.Raw;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * How the learning rate changes with the step.
 *
 * @param scheduler the rule
 * @param warmupSteps steps of the linear warm-up
 * @param numCycles cycles of the rules with restarts
 * @param power degree of polynomial
 * @param minRatio the part of the learning rate that it falls to
 * @param decaySteps of warmup_stable_decay, the steps of the fall
 * @param timescale of inverse_sqrt, in steps; null for the warm-up's
 * @param stepRules of piecewise_constant, as diffusers writes them
 */
public record LrConfig(
    LrScheduler scheduler,
    int warmupSteps,
    double numCycles,
    double power,
    double minRatio,
    int decaySteps,
    @Nullable Integer timescale,
    String stepRules) {
  /** The same learning rate at every step. */
  public static final LrConfig CONSTANT =
      new LrConfig(LrScheduler.CONSTANT, 0, 1, 1, 0, 0, null, "");

  static final Section<LrConfig> KEYS = new Section<>(Key.Group.TRAINING);

  static final Key<LrConfig, LrScheduler> LR_SCHEDULER =
      KEYS.key(
              "lr_scheduler",
              ValueType.oneOf(
                  List.of(LrScheduler.values()), (text, folder) -> LrScheduler.name(text)),
              LrConfig::scheduler)
          .standard(LrScheduler.CONSTANT_WITH_WARMUP)
          .diffusers(LrScheduler.CONSTANT)
          .help(
              "How the learning rate changes during the run, by the names and rules of diffusers,"
                  + " transformers and OneTrainer: constant and constant_with_warmup keep it,"
                  + " piecewise_constant changes it by step_rules, all others lower it.");
  static final Key<LrConfig, Integer> LR_WARMUP_STEPS =
      KEYS.key("lr_warmup_steps", ValueType.atLeast(0), LrConfig::warmupSteps)
          .standard(0)
          .diffusers(500)
          .extension(500)
          .unit("steps")
          .help(
              "Number of steps at the start during which the learning rate rises from 0; not used"
                  + " by lr_scheduler: constant and piecewise_constant.");
  static final Key<LrConfig, Double> LR_NUM_CYCLES =
      KEYS.key("lr_num_cycles", ValueType.number(0.01, 1e6), LrConfig::numCycles)
          .standard(1.0)
          .alias("lr_cycles")
          .help(
              "With lr_scheduler: cosine_with_restarts, how many times the learning rate falls to"
                  + " 0 during the run; with cosine_with_soft_restarts, how many times it falls"
                  + " and rises again.");
  static final Key<LrConfig, Double> LR_POWER =
      KEYS.key("lr_power", ValueType.number(1e-3, 1000), LrConfig::power)
          .standard(1.0)
          .help(
              "With lr_scheduler: polynomial, the exponent of the decay: 1 is linear; with a higher"
                  + " one the learning rate falls faster at first.");
  static final Key<LrConfig, Double> LR_MIN_RATIO =
      KEYS.key("lr_scheduler_min_lr_ratio", ValueType.number(0, 1), LrConfig::minRatio)
          .standard(0.0)
          .alias("learning_rate_min_factor")
          .help(
              "Fraction of the learning rate, from 0 to 1, at which lr_scheduler stops lowering it:"
                  + " 0.1 ends at a tenth, 0 at zero.");
  static final Key<LrConfig, Integer> LR_DECAY_STEPS =
      KEYS.key("lr_decay_steps", ValueType.atLeast(0), LrConfig::decaySteps)
          .standard(0)
          .unit("steps")
          .help(
              "With lr_scheduler: warmup_stable_decay, the number of steps at the end of the run"
                  + " during which the learning rate falls; before them it is constant.");
  static final Key<LrConfig, Integer> LR_TIMESCALE =
      KEYS.key("lr_scheduler_timescale", ValueType.atLeast(1), LrConfig::timescale)
          .otherwise("lr_warmup_steps, or 10000 without a warm-up")
          .unit("steps")
          .help(
              "With lr_scheduler: inverse_sqrt, the timescale of the decay in steps: the larger it"
                  + " is, the more slowly the learning rate falls.");
  static final Key<LrConfig, String> STEP_RULES =
      KEYS.key(
              "step_rules",
              new ValueType<>(
                  "factors and the steps they end at, such as 1:100,0.1:200,0.01",
                  (text, folder) -> {
                    if (!text.isEmpty() && !text.matches("(\\d*\\.?\\d+:\\d{1,9},)*\\d*\\.?\\d+")) {
                      throw new IllegalArgumentException(text);
                    }
                    return text;
                  },
                  ValueType.Kind.TEXT),
              LrConfig::stepRules)
          .standard("")
          .help(
              "With lr_scheduler: piecewise_constant, the factors of the learning rate and the"
                  + " steps at which they end: 1:100,0.1:200,0.01 is the full rate before step 100,"
                  + " a tenth before step 200, and a hundredth from then on.");

  static LrConfig of(Values run) {
    checkExtensions(run);
    LrConfig made =
        new LrConfig(
            run.get(LR_SCHEDULER),
            run.get(LR_WARMUP_STEPS),
            run.get(LR_NUM_CYCLES),
            run.get(LR_POWER),
            run.get(LR_MIN_RATIO),
            run.get(LR_DECAY_STEPS),
            run.orNull(LR_TIMESCALE),
            run.get(STEP_RULES));
    if (made.scheduler == LrScheduler.PIECEWISE_CONSTANT && made.stepRules.isEmpty()) {
      run.error("lr_scheduler: piecewise_constant needs step_rules, such as 1:100,0.1:200,0.01");
    }
    if (made.scheduler == LrScheduler.WARMUP_STABLE_DECAY && made.decaySteps == 0) {
      run.error(
          "lr_scheduler: warmup_stable_decay needs lr_decay_steps: a tenth of the run's steps is usual");
    }
    return made;
  }

  /** Three schedules of the extension have the names of others here. */
  private static void checkExtensions(Values run) {
    Raw raw = run.raw(LR_SCHEDULER);
    String name = raw == null || raw.text() == null ? "" : raw.text().toLowerCase(Locale.ROOT);
    String advice =
        switch (name) {
          case "constant" -> "begins at a part of the learning rate: say constant_with_warmup";
          case "linear" -> "rises to the learning rate: say linear_with_warmup, which falls to 0";
          case "cosine" -> "rises again after each fall: say cosine_with_restarts";
          default -> "";
        };
    if (raw != null && run.isExtensions(LR_SCHEDULER) && !advice.isEmpty()) {
      run.error(
          "%s: %s is not done here as the extension does it, where it %s"
              .formatted(raw.at(LR_SCHEDULER.name()), name, advice));
    }
    int warmup = run.get(LR_WARMUP_STEPS);
    if (warmup > 0 && run.isExtensions(LR_WARMUP_STEPS)) {
      run.remark(
          "lr_warmup_steps: %d counts pictures in the extension; here it is %d steps"
              .formatted(warmup, warmup));
    }
  }
}
