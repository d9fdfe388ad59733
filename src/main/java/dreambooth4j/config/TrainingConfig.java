package dreambooth4j.config;

import dreambooth4j.config.Layer.Raw;
import org.jspecify.annotations.Nullable;

/**
 * How long and on what is trained.
 *
 * @param trainBatchSize instance pictures a batch, each with one class picture
 * @param gradientAccumulationSteps batches a step
 * @param numTrainEpochs times that every instance picture is shown, unless maxTrainSteps is set
 * @param maxTrainSteps optimizer updates; null leaves the end to numTrainEpochs
 * @param trainUnet whether the UNet is trained
 * @param stopTextEncoder the part of the run, 0 to 1, in which the text encoder is trained too
 * @param seed decides every random draw
 */
public record TrainingConfig(
    int trainBatchSize,
    int gradientAccumulationSteps,
    int numTrainEpochs,
    @Nullable Integer maxTrainSteps,
    boolean trainUnet,
    double stopTextEncoder,
    long seed) {
  static final Section<TrainingConfig> KEYS = new Section<>(Key.Group.TRAINING);

  static final Key<TrainingConfig, Integer> TRAIN_BATCH_SIZE =
      KEYS.key("train_batch_size", ValueType.whole(1, 4096), TrainingConfig::trainBatchSize)
          .standard(1)
          .diffusers(4)
          .unit("pictures")
          .help(
              "Number of instance pictures per batch. With prior loss each comes with one class"
                  + " image, so a batch has twice as many rows. A larger batch gives less noisy"
                  + " gradients and takes more memory.");
  static final Key<TrainingConfig, Integer> GRADIENT_ACCUMULATION_STEPS =
      KEYS.key(
              "gradient_accumulation_steps",
              ValueType.whole(1, 65_536),
              TrainingConfig::gradientAccumulationSteps)
          .standard(1)
          .unit("batches")
          .help(
              "Number of batches whose gradients are accumulated before each update of the weights:"
                  + " has the effect of a train_batch_size that many times larger, without its"
                  + " memory.");
  static final Key<TrainingConfig, Integer> NUM_TRAIN_EPOCHS =
      KEYS.key("num_train_epochs", ValueType.atLeast(1), TrainingConfig::numTrainEpochs)
          .standard(100)
          .diffusers(1)
          .unit("epochs")
          .help(
              "Length of the run in epochs: how many times every instance picture is shown."
                  + " max_train_steps, if set, overrides it.");
  static final Key<TrainingConfig, Integer> MAX_TRAIN_STEPS =
      KEYS.key("max_train_steps", ValueType.atLeast(1), TrainingConfig::maxTrainSteps)
          .otherwise("left to num_train_epochs")
          .unit("steps")
          .help(
              "Length of the run in steps, each of which updates the weights once; overrides"
                  + " num_train_epochs.");
  static final Key<TrainingConfig, Boolean> TRAIN_UNET =
      KEYS.key("train_unet", ValueType.flag(), TrainingConfig::trainUnet)
          .standard(true)
          .help(
              "Train the UNet, the part of the model that draws. Set it to false to train only the"
                  + " vectors of placeholder_token (textual inversion) or only the text encoder.");
  static final Key<TrainingConfig, Double> STOP_TEXT_ENCODER =
      KEYS.key(
              "stop_text_encoder",
              ValueType.numberOrFlag(
                  "a number from 0 to 1, true or false", v -> v >= 0 && v <= 1, 1, 0),
              TrainingConfig::stopTextEncoder)
          .standard(0.0)
          .extension(1.0)
          .help(
              "Fraction of the run, from 0 to 1, during which the text encoder is trained with the"
                  + " UNet; afterwards it no longer changes. 0 never trains it, 1 always does.");
  static final Key<TrainingConfig, Boolean> TRAIN_TEXT_ENCODER =
      KEYS.<Boolean>key("train_text_encoder", ValueType.flag())
          .otherwise("as stop_text_encoder")
          .help(
              "Train the text encoder together with the UNet: for the whole run, or for the part of"
                  + " it that stop_text_encoder gives. The model learns the subject more strongly"
                  + " and needs more memory.");
  static final Key<TrainingConfig, Long> SEED =
      KEYS.key("seed", ValueType.seed(), TrainingConfig::seed)
          .standard(42L)
          .help(
              "Seed of all random numbers of the run: the same seed, configuration and machine"
                  + " reproduce a run bit for bit.");

  /**
   * What is trained and how long.
   *
   * @param prior whether class pictures are trained on too
   */
  static TrainingConfig of(Values run, boolean prior) {
    return new TrainingConfig(
        trainBatchSize(run, prior),
        run.get(GRADIENT_ACCUMULATION_STEPS),
        run.get(NUM_TRAIN_EPOCHS),
        run.orNull(MAX_TRAIN_STEPS),
        run.get(TRAIN_UNET),
        stopTextEncoder(run),
        run.get(SEED));
  }

  /** The extension counts rows, of which a pair has two. */
  private static int trainBatchSize(Values run, boolean prior) {
    int size = run.get(TRAIN_BATCH_SIZE);
    if (!prior || !run.isExtensions(TRAIN_BATCH_SIZE)) {
      return size;
    }
    int pairs = (size + 1) / 2;
    run.remark(
        "train_batch_size: %d counts rows in the extension; here it is %d pair%s of an instance and a class picture"
            .formatted(size, pairs, pairs == 1 ? "" : "s"));
    return pairs;
  }

  /**
   * diffusers says whether the text encoder is trained, the extension for how long. Both together
   * must agree; where a flag and the file do not, the flag decides.
   */
  private static double stopTextEncoder(Values run) {
    double stop = run.get(STOP_TEXT_ENCODER);
    Boolean trained = run.orNull(TRAIN_TEXT_ENCODER);
    if (trained == null || !run.has(STOP_TEXT_ENCODER)) {
      return trained == null ? stop : trained ? 1 : 0;
    }
    if (trained == stop > 0 || run.outranks(STOP_TEXT_ENCODER, TRAIN_TEXT_ENCODER)) {
      return stop;
    }
    Raw raw = run.raw(TRAIN_TEXT_ENCODER);
    if (raw != null && !run.outranks(TRAIN_TEXT_ENCODER, STOP_TEXT_ENCODER)) {
      run.error(
          "%s: %s contradicts stop_text_encoder: %s; remove one of the two"
              .formatted(raw.at(TRAIN_TEXT_ENCODER.name()), trained, stop));
    }
    return trained ? 1 : 0;
  }

  /** Whether the text encoder is trained, be it for a part of the run. */
  public boolean trainTextEncoder() {
    return stopTextEncoder > 0;
  }
}
