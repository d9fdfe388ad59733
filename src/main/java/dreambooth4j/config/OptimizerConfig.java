package dreambooth4j.config;

import dreambooth4j.config.Layer.Raw;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * What updates the weights, and its learning rate.
 *
 * @param name the rule
 * @param learningRate the learning rate after the warm-up
 * @param textEncoderLearningRate the text encoder's own; null where it has none
 * @param textEncoder2LearningRate that of SDXL's second one; null where it is the first one's
 * @param lrScheduler how it changes with the step
 * @param lrWarmupSteps steps of the linear warm-up
 * @param lrNumCycles cycles of cosine_with_restarts
 * @param lrPower degree of polynomial
 * @param adamBeta1 decay of the first moment
 * @param adamBeta2 decay of the second moment, or of the only one
 * @param adamWeightDecay decoupled weight decay
 * @param adamEpsilon added to the root of the second moment
 * @param maxGradNorm the gradient's global norm is clipped to this; 0 clips nothing
 */
public record OptimizerConfig(
    OptimizerName name,
    double learningRate,
    @Nullable Double textEncoderLearningRate,
    @Nullable Double textEncoder2LearningRate,
    LrScheduler lrScheduler,
    int lrWarmupSteps,
    int lrNumCycles,
    double lrPower,
    double adamBeta1,
    double adamBeta2,
    double adamWeightDecay,
    double adamEpsilon,
    double maxGradNorm) {
  static final Section<OptimizerConfig> KEYS = new Section<>(Key.Group.TRAINING);

  static final Key<OptimizerConfig, String> OPTIMIZER =
      KEYS.key(
              "optimizer",
              ValueType.oneOf(
                  OptimizerName.written(), (text, folder) -> OptimizerName.canonical(text)),
              optimizer -> optimizer.name().label())
          .standard(OptimizerName.written().get(0))
          .extension(OptimizerName.written().get(1))
          .help(
              "Rule that updates the weights; 8bit before its name is use_8bit_adam. "
                  + OptimizerName.inWords());
  static final Key<OptimizerConfig, Double> LEARNING_RATE =
      KEYS.key("learning_rate", ValueType.upTo(1e38), OptimizerConfig::learningRate)
          .standard(2e-6)
          .diffusers(5e-6)
          .help(
              "How far each step moves the weights, once the warm-up is over. 1e-6 to 5e-6 is"
                  + " usual when all weights are trained; more learns faster and forgets more.");
  static final Key<OptimizerConfig, Double> TEXT_ENCODER_LEARNING_RATE =
      KEYS.key(
              "text_encoder_learning_rate",
              ValueType.upTo(1e38),
              OptimizerConfig::textEncoderLearningRate)
          .otherwise("as learning_rate")
          .help(
              "How far each step moves the text encoder's weights where it is trained, once the"
                  + " warm-up is over; lr_scheduler changes it as it does learning_rate. Set it"
                  + " below learning_rate where prompts lose their other meanings.");
  static final Key<OptimizerConfig, Double> TEXT_ENCODER_2_LEARNING_RATE =
      KEYS.key(
              "text_encoder_2_learning_rate",
              ValueType.upTo(1e38),
              OptimizerConfig::textEncoder2LearningRate)
          .otherwise("as text_encoder_learning_rate")
          .help(
              "How far each step moves the weights of SDXL's second text encoder where text encoders"
                  + " are trained; other models have none.");
  static final Key<OptimizerConfig, LrScheduler> LR_SCHEDULER =
      KEYS.key(
              "lr_scheduler",
              ValueType.oneOf(
                  List.of(LrScheduler.values()), (text, folder) -> LrScheduler.name(text)),
              OptimizerConfig::lrScheduler)
          .standard(LrScheduler.CONSTANT_WITH_WARMUP)
          .diffusers(LrScheduler.CONSTANT)
          .help(
              "How the learning rate changes over the run, by the names and rules of diffusers:"
                  + " constant and constant_with_warmup hold it; linear, cosine,"
                  + " cosine_with_restarts and polynomial let it fall to the end.");
  static final Key<OptimizerConfig, Integer> LR_WARMUP_STEPS =
      KEYS.key("lr_warmup_steps", ValueType.atLeast(0), OptimizerConfig::lrWarmupSteps)
          .standard(0)
          .diffusers(500)
          .extension(500)
          .unit("steps")
          .help(
              "How long the learning rate rises from 0 at the start, with every lr_scheduler but"
                  + " constant.");
  static final Key<OptimizerConfig, Integer> LR_NUM_CYCLES =
      KEYS.key("lr_num_cycles", ValueType.atLeast(1), OptimizerConfig::lrNumCycles)
          .standard(1)
          .alias("lr_cycles")
          .help(
              "With lr_scheduler: cosine_with_restarts, how many times the learning rate falls to"
                  + " 0 during the run.");
  static final Key<OptimizerConfig, Double> LR_POWER =
      KEYS.key("lr_power", ValueType.number(1e-3, 1000), OptimizerConfig::lrPower)
          .standard(1.0)
          .help(
              "With lr_scheduler: polynomial, the exponent of its fall: 1 is a straight line, more"
                  + " falls faster at first.");
  static final Key<OptimizerConfig, Double> ADAM_BETA1 =
      KEYS.key("adam_beta1", belowOne(), OptimizerConfig::adamBeta1)
          .standard(0.9)
          .help(
              "Decay of the optimizer's running mean of the gradients, from 0 to below 1. Seldom"
                  + " changed.");
  static final Key<OptimizerConfig, Double> ADAM_BETA2 =
      KEYS.key("adam_beta2", belowOne(), OptimizerConfig::adamBeta2)
          .otherwise(OptimizerName.beta2InWords())
          .help(
              "Decay of the optimizer's slower running mean, of the squared gradients where it keeps"
                  + " one of them, from 0 to below 1. Seldom changed.");
  static final Key<OptimizerConfig, Double> ADAM_WEIGHT_DECAY =
      KEYS.key("adam_weight_decay", ValueType.upTo(1000), OptimizerConfig::adamWeightDecay)
          .standard(0.01)
          .alias("weight_decay", "adamw_weight_decay")
          .help(
              "Weight decay: each step also shrinks every weight by this times the"
                  + " learning rate. Seldom changed; 0 turns it off.");
  static final Key<OptimizerConfig, Double> ADAM_EPSILON =
      KEYS.key("adam_epsilon", ValueType.number(1e-30, 1), OptimizerConfig::adamEpsilon)
          .standard(1e-8)
          .help(
              "Small number that the optimizer adds where it divides by the root of the mean of the"
                  + " squared gradients. Seldom changed.");
  static final Key<OptimizerConfig, Double> MAX_GRAD_NORM =
      KEYS.key("max_grad_norm", ValueType.upTo(1e9), OptimizerConfig::maxGradNorm)
          .standard(1.0)
          .help(
              "Gradients whose norm over all weights is above this are scaled down to it, so that"
                  + " no single step goes too far; 0 scales none.");

  /** The greatest factor that kernels can multiply a rate with. */
  private static final double MOST_RATE_FACTOR = 1e38;

  /** What the run's learning rate is multiplied with for the text encoder. */
  public double textEncoderRateFactor() {
    return rateFactor(textEncoderLearningRate);
  }

  /** What the run's learning rate is multiplied with for SDXL's second text encoder. */
  public double textEncoder2RateFactor() {
    Double own = textEncoder2LearningRate;
    return rateFactor(own == null ? textEncoderLearningRate : own);
  }

  private double rateFactor(@Nullable Double own) {
    return own == null || own == learningRate ? 1 : own / learningRate;
  }

  /**
   * What updates the weights.
   *
   * @param trainsText whether the text encoder's are among them
   * @param lora whether they are those of adapters
   */
  static OptimizerConfig of(Values run, boolean trainsText, boolean lora) {
    checkExtensionsSchedule(run);
    OptimizerName name = OptimizerName.of(run.get(OPTIMIZER));
    Double beta2 = run.orNull(ADAM_BETA2);
    OptimizerConfig made =
        new OptimizerConfig(
            name,
            lora ? LoraConfig.learningRate(run) : run.get(LEARNING_RATE),
            lora ? LoraConfig.textLearningRate(run) : run.orNull(TEXT_ENCODER_LEARNING_RATE),
            run.orNull(TEXT_ENCODER_2_LEARNING_RATE),
            run.get(LR_SCHEDULER),
            run.get(LR_WARMUP_STEPS),
            run.get(LR_NUM_CYCLES),
            run.get(LR_POWER),
            run.get(ADAM_BETA1),
            beta2 == null ? name.beta2() : beta2,
            run.get(ADAM_WEIGHT_DECAY),
            run.get(ADAM_EPSILON),
            run.get(MAX_GRAD_NORM));
    made.checkOwnRate(run, TEXT_ENCODER_LEARNING_RATE, trainsText);
    made.checkOwnRate(run, TEXT_ENCODER_2_LEARNING_RATE, trainsText);
    return made;
  }

  /** A learning rate of a text encoder's own is a multiple of the run's. */
  private void checkOwnRate(Values run, Key<OptimizerConfig, Double> key, boolean trainsText) {
    Raw raw = run.raw(key);
    Double own = run.orNull(key);
    if (raw == null || own == null) {
      return;
    }
    if (!trainsText) {
      run.remark(
          "%s: %s has no effect, as the text encoder is not trained: set train_text_encoder: true, or leave it out"
              .formatted(key.name(), own));
    } else if (rateFactor(own) > MOST_RATE_FACTOR) {
      run.error(
          "%s: %s is too many times learning_rate: %s; raise learning_rate"
              .formatted(raw.at(key.name()), own, learningRate));
    }
  }

  /** Three schedules of the extension have the names of others here. */
  private static void checkExtensionsSchedule(Values run) {
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

  private static ValueType<Double> belowOne() {
    return ValueType.number("a number from 0 to below 1", v -> v >= 0 && v < 1);
  }
}
