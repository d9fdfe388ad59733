package dreambooth4j.config;

import dreambooth4j.config.Layer.Raw;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What updates the weights, and its learning rate.
 *
 * @param name the rule
 * @param learningRate the learning rate after the warm-up
 * @param textEncoderLearningRate the text encoder's own; null where it has none
 * @param textEncoder2LearningRate that of SDXL's second one; null where it is the first one's
 * @param scaleLr whether both count for one picture, and are multiplied with those of a step
 * @param schedule how it changes with the step
 * @param adamBeta1 decay of the first moment
 * @param adamBeta2 decay of the second moment, or of the only one
 * @param adamWeightDecay decoupled weight decay
 * @param adamEpsilon added to the root of the second moment
 * @param maxGradNorm the gradient's global norm is clipped to this; 0 clips nothing
 * @param arguments what the rule has for itself, by name
 */
public record OptimizerConfig(
    OptimizerName name,
    double learningRate,
    @Nullable Double textEncoderLearningRate,
    @Nullable Double textEncoder2LearningRate,
    boolean scaleLr,
    LrConfig schedule,
    double adamBeta1,
    double adamBeta2,
    double adamWeightDecay,
    double adamEpsilon,
    double maxGradNorm,
    Map<String, Double> arguments) {
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
              "Rule that updates the weights; 8bit before it is use_8bit_adam. "
                  + OptimizerName.inWords());
  static final Key<OptimizerConfig, String> OPTIMIZER_ARGS =
      KEYS.key(
              "optimizer_args",
              new ValueType<>(
                  "name=value pairs separated by spaces",
                  (text, folder) -> OptimizerArguments.text(OptimizerArguments.parse(text)),
                  ValueType.Kind.TEXT),
              optimizer -> OptimizerArguments.text(optimizer.arguments()))
          .standard("")
          .help(
              "What only some optimizers have, as name=value separated by spaces: "
                  + OptimizerName.argumentsInWords());
  static final Key<OptimizerConfig, Double> LEARNING_RATE =
      KEYS.key("learning_rate", ValueType.upTo(1e38), OptimizerConfig::learningRate)
          .standard(2e-6)
          .diffusers(5e-6)
          .help(
              "Learning rate after the warm-up. 1e-6 to 5e-6 is usual when all weights are trained;"
                  + " a higher one learns faster and forgets more of what the base model knows.");
  static final Key<OptimizerConfig, Double> TEXT_ENCODER_LEARNING_RATE =
      KEYS.key(
              "text_encoder_learning_rate",
              ValueType.upTo(1e38),
              OptimizerConfig::textEncoderLearningRate)
          .otherwise("as learning_rate")
          .help(
              "Learning rate of the text encoder where it is trained; it follows the warm-up and"
                  + " lr_scheduler as learning_rate does. Set it below learning_rate if other words"
                  + " lose their meaning.");
  static final Key<OptimizerConfig, Double> TEXT_ENCODER_2_LEARNING_RATE =
      KEYS.key(
              "text_encoder_2_learning_rate",
              ValueType.upTo(1e38),
              OptimizerConfig::textEncoder2LearningRate)
          .otherwise("as text_encoder_learning_rate")
          .help(
              "Learning rate of SDXL's second text encoder, where text encoders are trained; other"
                  + " models have only one text encoder.");
  static final Key<OptimizerConfig, Boolean> SCALE_LR =
      KEYS.key("scale_lr", ValueType.flag(), OptimizerConfig::scaleLr)
          .standard(false)
          .help(
              "Multiply the learning rates by train_batch_size and gradient_accumulation_steps, as"
                  + " diffusers' scripts do; the rates that are set are then those for one picture"
                  + " per step.");
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
              "Decay of the optimizer's running mean of the squared gradients (with Lion, of its"
                  + " momentum), from 0 to below 1. Seldom changed.");
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
              "Small number in the denominator of the optimizer's update, which keeps it from"
                  + " dividing by zero. Seldom changed.");
  static final Key<OptimizerConfig, Double> MAX_GRAD_NORM =
      KEYS.key("max_grad_norm", ValueType.upTo(1e9), OptimizerConfig::maxGradNorm)
          .standard(1.0)
          .help(
              "Gradient clipping: gradients whose norm over all weights is above this are scaled"
                  + " down to it, so that no single step changes the weights too much; 0 turns it"
                  + " off.");

  /** The greatest factor that kernels can multiply a rate with. */
  private static final double MOST_RATE_FACTOR = 1e38;

  /** What the run's learning rate is multiplied with for the text encoder. */
  public double textEncoderRateFactor() {
    return factorOf(textEncoderLearningRate);
  }

  /** What the run's learning rate is multiplied with for SDXL's second text encoder. */
  public double textEncoder2RateFactor() {
    Double own = textEncoder2LearningRate;
    return factorOf(own == null ? textEncoderLearningRate : own);
  }

  /** The fastest learning rate of all that may train. */
  double fastest() {
    double most = Math.max(1, Math.max(textEncoderRateFactor(), textEncoder2RateFactor()));
    return learningRate * most;
  }

  /** What the run's learning rate is multiplied with to be another one; null for the same. */
  public double factorOf(@Nullable Double own) {
    return own == null || own == learningRate ? 1 : own / learningRate;
  }

  /**
   * What updates the weights.
   *
   * @param trainsText whether the text encoder's are among them
   * @param lora whether they are those of adapters
   */
  static OptimizerConfig of(Values run, boolean trainsText, boolean lora) {
    OptimizerName name = OptimizerName.of(run.get(OPTIMIZER));
    Double beta2 = run.orNull(ADAM_BETA2);
    OptimizerConfig made =
        new OptimizerConfig(
            name,
            learningRate(run, name, lora),
            lora ? LoraConfig.textLearningRate(run) : run.orNull(TEXT_ENCODER_LEARNING_RATE),
            run.orNull(TEXT_ENCODER_2_LEARNING_RATE),
            run.get(SCALE_LR),
            LrConfig.of(run),
            run.get(ADAM_BETA1),
            beta2 == null ? name.beta2() : beta2,
            run.get(ADAM_WEIGHT_DECAY),
            run.get(ADAM_EPSILON),
            run.get(MAX_GRAD_NORM),
            arguments(run, name));
    Key<?, Double> whole = lora ? LoraConfig.learningRateKey(run) : LEARNING_RATE;
    Key<?, Double> text = lora ? LoraConfig.textLearningRateKey(run) : TEXT_ENCODER_LEARNING_RATE;
    made.checkOwnRate(run, text, whole, trainsText);
    made.checkOwnRate(run, TEXT_ENCODER_2_LEARNING_RATE, whole, trainsText);
    made.checkOwnRate(run, EmbeddingConfig.EMBEDDING_LEARNING_RATE, whole, true);
    made.checkRule(run);
    return made;
  }

  /**
   * Of a rule that finds its own rate, what that is multiplied with is 1 unless somebody says it.
   */
  private static double learningRate(Values run, OptimizerName name, boolean lora) {
    boolean said = run.has(LEARNING_RATE) || (lora && run.has(LoraConfig.LORA_LEARNING_RATE));
    if (name == OptimizerName.PRODIGY && !said) {
      return 1;
    }
    return lora ? LoraConfig.learningRate(run) : run.get(LEARNING_RATE);
  }

  private static Map<String, Double> arguments(Values run, OptimizerName name) {
    Map<String, Double> arguments = OptimizerArguments.parse(run.get(OPTIMIZER_ARGS));
    for (String each : arguments.keySet()) {
      if (!name.arguments().contains(each)) {
        run.error(
            "optimizer_args: %s is no argument of %s here; %s"
                .formatted(
                    each,
                    name.label(),
                    name.arguments().isEmpty()
                        ? "it has none: see the keys adam_beta1, adam_beta2, adam_weight_decay and adam_epsilon"
                        : "there are " + String.join(", ", name.arguments())));
      }
    }
    return arguments;
  }

  private void checkRule(Values run) {
    if (name == OptimizerName.PRODIGY
        && (textEncoderRateFactor() != 1 || factorOf(textEncoder2LearningRate) != 1)) {
      run.error(
          "optimizer: Prodigy finds one learning rate for all that trains: leave out the text encoder's own");
    }
    if (name == OptimizerName.PRODIGY && learningRate < 0.01) {
      run.remark(
          "learning_rate: %s is what optimizer: Prodigy multiplies the rate with that it finds by itself; 1 is usual"
              .formatted(learningRate));
    }
    if (name == OptimizerName.ADAFACTOR && arguments.getOrDefault("relative_step", 0.0) != 0) {
      run.remark(
          "optimizer_args: with relative_step Adafactor takes its own learning rate, and learning_rate and lr_scheduler have no effect");
    }
    if (name == OptimizerName.ADAMW_SCHEDULE_FREE) {
      if (schedule.scheduler() != LrScheduler.CONSTANT
          && schedule.scheduler() != LrScheduler.CONSTANT_WITH_WARMUP) {
        run.remark(
            "lr_scheduler: %s lets the learning rate fall, which optimizer: AdamWScheduleFree does by averaging: constant_with_warmup is usual with it"
                .formatted(schedule.scheduler()));
      }
      if (adamBeta1 == 0) {
        run.error("adam_beta1: 0 is not for optimizer: AdamWScheduleFree; 0.9 is usual");
      }
    }
  }

  /** A learning rate of a text encoder's own is a multiple of the run's. */
  private void checkOwnRate(
      Values run, Key<?, Double> key, Key<?, Double> whole, boolean trainsText) {
    Raw raw = run.raw(key);
    Double own = run.orNull(key);
    if (raw == null || own == null) {
      return;
    }
    if (!trainsText) {
      run.remarkUseless(key, LoraConfig.TEXT_IS_FROZEN);
    } else if (factorOf(own) > MOST_RATE_FACTOR) {
      run.error(
          "%s: %s is too many times %s: %s; raise %s: at 1e-12 the UNet hardly changes"
              .formatted(raw.at(key.name()), own, whole.name(), learningRate, whole.name()));
    }
  }

  private static ValueType<Double> belowOne() {
    return ValueType.number("a number from 0 to below 1", v -> v >= 0 && v < 1);
  }
}
