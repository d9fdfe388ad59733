package dreambooth4j.config;

import static dreambooth4j.config.Key.Group.MODEL;
import static dreambooth4j.config.Key.Group.OUTPUT;
import static dreambooth4j.config.Key.Group.PRIOR_LOSS;
import static dreambooth4j.config.Key.Group.SAMPLES;
import static dreambooth4j.config.Key.Group.TRAINING;

import dreambooth4j.config.Key.Group;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The keys that have an effect here: those of a run, and by way of {@link ConceptKeys} those of its
 * concepts. Names are sd_dreambooth_extension's where it has one and diffusers' otherwise; the
 * other's name is an alias.
 */
public final class Keys {
  /** The samplers that draw samples and class images. */
  public static final List<String> SAMPLERS =
      List.of(
          "ddpm",
          "ddim",
          "pndm",
          "euler",
          "euler_ancestral",
          "dpmpp_2m",
          "dpmpp_2m_karras",
          "unipc");

  /** How many tokens of a prompt can be read: one, two or three windows of the text encoder. */
  public static final List<Integer> TOKEN_LENGTHS =
      List.of(ModelConfig.WINDOW, 2 * ModelConfig.WINDOW, 3 * ModelConfig.WINDOW);

  /** One of {@link #SAMPLERS}, or what diffusers or the extension calls it. */
  static final ValueType<String> SAMPLER =
      ValueType.oneOf(SAMPLERS, (text, folder) -> sampler(text));

  private static final List<Key<Config, ?>> RUN = new ArrayList<>();

  // Model
  static final Key<Config, String> PRETRAINED_MODEL =
      run(
          MODEL,
          "pretrained_model_name_or_path",
          ValueType.pathOrName(),
          null,
          "Base model: a folder, or a name in the Hugging Face cache.",
          c -> c.model().pretrainedModelNameOrPath());
  static final Key<Config, String> VARIANT =
      run(
          MODEL,
          "variant",
          ValueType.text(),
          null,
          "Which weight files of the base model are read, for instance fp16.",
          c -> c.model().variant());
  static final Key<Config, Integer> CLIP_SKIP =
      run(
          MODEL,
          "clip_skip",
          ValueType.whole(1, 12),
          1,
          "Which layer of the text encoder is used, counted from the end.",
          c -> c.model().clipSkip());
  static final Key<Config, Integer> MAX_TOKEN_LENGTH =
      run(
          MODEL,
          "max_token_length",
          ValueType.oneOf(TOKEN_LENGTHS, (text, folder) -> text),
          ModelConfig.WINDOW,
          "Tokens of a prompt that are read: 75, or 150 or 225 in two or three windows as kohya does.",
          c -> c.model().maxTokenLength());

  // Training
  static final Key<Config, Integer> TRAIN_BATCH_SIZE =
      run(
          TRAINING,
          "train_batch_size",
          ValueType.whole(1, 4096),
          1,
          "Instance pictures a batch, each with one class picture.",
          c -> c.training().trainBatchSize());
  static final Key<Config, Integer> GRADIENT_ACCUMULATION_STEPS =
      run(
          TRAINING,
          "gradient_accumulation_steps",
          ValueType.whole(1, 65_536),
          1,
          "Batches a step.",
          c -> c.training().gradientAccumulationSteps());
  static final Key<Config, Integer> NUM_TRAIN_EPOCHS =
      run(
          TRAINING,
          "num_train_epochs",
          ValueType.atLeast(1),
          100,
          "Times that every instance picture is shown.",
          c -> c.training().numTrainEpochs());
  static final Key<Config, Integer> MAX_TRAIN_STEPS =
      run(
          TRAINING,
          "max_train_steps",
          ValueType.atLeast(1),
          null,
          "Steps (optimizer updates); takes the place of num_train_epochs.",
          c -> c.training().maxTrainSteps());
  static final Key<Config, Double> STOP_TEXT_ENCODER =
      run(
          TRAINING,
          "stop_text_encoder",
          ValueType.numberOrFlag(
              "a number from 0 to 1, true or false", v -> v >= 0 && v <= 1, 1, 0),
          0.0,
          1.0,
          "Part of the run in which the text encoder is trained too.",
          c -> c.training().stopTextEncoder());
  static final Key<Config, Boolean> TRAIN_TEXT_ENCODER =
      run(
          TRAINING,
          "train_text_encoder",
          ValueType.flag(),
          null,
          "Train the text encoder too, in the whole run unless stop_text_encoder is given.",
          c -> null);
  static final Key<Config, Double> SNR_GAMMA =
      run(
          TRAINING,
          "snr_gamma",
          ValueType.notNegative(),
          0.0,
          "Min-SNR's gamma, commonly 5; 0 leaves it off.",
          c -> c.training().snrGamma(),
          "min_snr_gamma");
  static final Key<Config, Double> OFFSET_NOISE =
      run(
          TRAINING,
          "offset_noise",
          ValueType.numberOrFlag("a number of at least 0, true or false", v -> v >= 0, 0.1, 0),
          0.0,
          "Strength of the noise added to whole channels; the bare flag means 0.1.",
          c -> c.training().offsetNoise());
  static final Key<Config, Long> SEED =
      run(
          TRAINING,
          "seed",
          ValueType.seed(),
          42L,
          "Decides every random draw.",
          c -> c.training().seed());
  static final Key<Config, Double> LEARNING_RATE =
      run(
          TRAINING,
          "learning_rate",
          ValueType.notNegative(),
          2e-6,
          "Learning rate after the warm-up.",
          c -> c.optimizer().learningRate());
  static final Key<Config, LrScheduler> LR_SCHEDULER =
      run(
          TRAINING,
          "lr_scheduler",
          ValueType.oneOf(List.of(LrScheduler.values()), (text, folder) -> LrScheduler.name(text)),
          LrScheduler.CONSTANT_WITH_WARMUP,
          "How the learning rate changes with the step.",
          c -> c.optimizer().lrScheduler());
  static final Key<Config, Integer> LR_WARMUP_STEPS =
      run(
          TRAINING,
          "lr_warmup_steps",
          ValueType.atLeast(0),
          0,
          500,
          "Steps in which the learning rate rises from 0.",
          c -> c.optimizer().lrWarmupSteps());
  static final Key<Config, Integer> LR_NUM_CYCLES =
      run(
          TRAINING,
          "lr_num_cycles",
          ValueType.atLeast(1),
          1,
          "Cycles of cosine_with_restarts.",
          c -> c.optimizer().lrNumCycles(),
          "lr_cycles");
  static final Key<Config, Double> LR_POWER =
      run(
          TRAINING,
          "lr_power",
          ValueType.positive(),
          1.0,
          "Degree of polynomial.",
          c -> c.optimizer().lrPower());
  static final Key<Config, Double> ADAM_BETA1 =
      run(
          TRAINING,
          "adam_beta1",
          ValueType.number("a number from 0 to below 1", v -> v >= 0 && v < 1),
          0.9,
          "AdamW's decay of the first moment.",
          c -> c.optimizer().adamBeta1());
  static final Key<Config, Double> ADAM_BETA2 =
      run(
          TRAINING,
          "adam_beta2",
          ValueType.number("a number from 0 to below 1", v -> v >= 0 && v < 1),
          0.999,
          "AdamW's decay of the second moment.",
          c -> c.optimizer().adamBeta2());
  static final Key<Config, Double> ADAM_WEIGHT_DECAY =
      run(
          TRAINING,
          "adam_weight_decay",
          ValueType.notNegative(),
          0.01,
          "AdamW's weight decay.",
          c -> c.optimizer().adamWeightDecay(),
          "weight_decay",
          "adamw_weight_decay");
  static final Key<Config, Double> ADAM_EPSILON =
      run(
          TRAINING,
          "adam_epsilon",
          ValueType.positive(),
          1e-8,
          "AdamW's epsilon.",
          c -> c.optimizer().adamEpsilon());
  static final Key<Config, Double> MAX_GRAD_NORM =
      run(
          TRAINING,
          "max_grad_norm",
          ValueType.notNegative(),
          1.0,
          "The gradient's norm is clipped to this; 0 clips nothing.",
          c -> c.optimizer().maxGradNorm());

  // Prior loss
  static final Key<Config, Boolean> WITH_PRIOR_PRESERVATION =
      run(
          PRIOR_LOSS,
          "with_prior_preservation",
          ValueType.flag(),
          null,
          "Make class images and train on them; on if a concept says what its class is.",
          c -> c.prior().withPriorPreservation());
  static final Key<Config, Double> PRIOR_LOSS_WEIGHT =
      run(
          PRIOR_LOSS,
          "prior_loss_weight",
          ValueType.notNegative(),
          0.4,
          0.75,
          "Weight of the prior loss beside the instance loss.",
          c -> c.prior().priorLossWeight());
  static final Key<Config, Boolean> PRIOR_LOSS_SCALE =
      run(
          PRIOR_LOSS,
          "prior_loss_scale",
          ValueType.flag(),
          false,
          "Let that weight fall with the epoch.",
          c -> c.prior().priorLossScale());
  static final Key<Config, Integer> PRIOR_LOSS_TARGET =
      run(
          PRIOR_LOSS,
          "prior_loss_target",
          ValueType.atLeast(1),
          100,
          "Epoch at which it has fallen to prior_loss_weight_min.",
          c -> c.prior().priorLossTarget());
  static final Key<Config, Double> PRIOR_LOSS_WEIGHT_MIN =
      run(
          PRIOR_LOSS,
          "prior_loss_weight_min",
          ValueType.notNegative(),
          0.1,
          "Where it stays from then on.",
          c -> c.prior().priorLossWeightMin());
  static final Key<Config, Integer> SAMPLE_BATCH_SIZE =
      run(
          PRIOR_LOSS,
          "sample_batch_size",
          ValueType.whole(0, 4096),
          0,
          1,
          "Class images generated at once; 0 for what memory allows and is of use.",
          c -> c.prior().sampleBatchSize());

  static final Key<Config, Integer> CLASS_IMAGES_REFRESH_EPOCHS =
      run(
          PRIOR_LOSS,
          "class_images_refresh_epochs",
          ValueType.atLeast(0),
          0,
          "Epochs after which the base model makes all class images anew; 0 for never.",
          c -> c.prior().refreshEpochs());

  // Samples
  static final Key<Config, String> VALIDATION_PROMPT =
      run(
          SAMPLES,
          "validation_prompt",
          ValueType.text(),
          null,
          "A prompt to draw beside those of the concepts.",
          c -> c.samples().validationPrompt());
  static final Key<Config, Integer> NUM_VALIDATION_IMAGES =
      run(
          SAMPLES,
          "num_validation_images",
          ValueType.whole(0, 1000),
          4,
          "Pictures of validation_prompt each time.",
          c -> c.samples().numValidationImages());
  static final Key<Config, Integer> VALIDATION_STEPS =
      run(
          SAMPLES,
          "validation_steps",
          ValueType.atLeast(0),
          100,
          0,
          "Steps from one drawing of samples to the next; 0 for none between.",
          c -> c.samples().validationSteps());
  static final Key<Config, Integer> SAVE_PREVIEW_EVERY =
      run(
          SAMPLES,
          "save_preview_every",
          ValueType.atLeast(0),
          0,
          5,
          "Epochs from one drawing of samples to the next, instead of validation_steps; 0 for none.",
          c -> c.samples().savePreviewEvery());
  static final Key<Config, String> SCHEDULER =
      run(
          SAMPLES,
          "scheduler",
          SAMPLER,
          null,
          "ddim",
          "Sampler of samples and class images; default the base model's own.",
          c -> c.samples().scheduler(),
          "validation_scheduler");

  // Output
  static final Key<Config, Path> OUTPUT_DIR =
      run(
          OUTPUT,
          "output_dir",
          ValueType.path(),
          Path.of("output"),
          "Folder for the trained model, in the diffusers layout.",
          c -> c.output().outputDir());
  static final Key<Config, Integer> CHECKPOINTING_STEPS =
      run(
          OUTPUT,
          "checkpointing_steps",
          ValueType.atLeast(0),
          500,
          0,
          "Steps from one checkpoint to the next; 0 for none between.",
          c -> c.output().checkpointingSteps());
  static final Key<Config, Integer> SAVE_EMBEDDING_EVERY =
      run(
          OUTPUT,
          "save_embedding_every",
          ValueType.atLeast(0),
          0,
          25,
          "Epochs from one checkpoint to the next, instead of checkpointing_steps; 0 for none.",
          c -> c.output().saveEmbeddingEvery());
  static final Key<Config, Integer> CHECKPOINTS_TOTAL_LIMIT =
      run(
          OUTPUT,
          "checkpoints_total_limit",
          ValueType.atLeast(1),
          null,
          "Checkpoints kept.",
          c -> c.output().checkpointsTotalLimit());
  static final Key<Config, Boolean> SAVE_STATE_AFTER =
      run(
          OUTPUT,
          "save_state_after",
          ValueType.flag(),
          false,
          "Write a checkpoint at the end too, so that more steps can follow; 3 times the weights.",
          c -> c.output().saveStateAfter());
  static final Key<Config, String> RESUME_FROM_CHECKPOINT =
      run(
          OUTPUT,
          "resume_from_checkpoint",
          ValueType.pathOrName(),
          null,
          "latest, or the folder of a checkpoint.",
          c -> c.output().resumeFromCheckpoint());
  static final Key<Config, Boolean> CACHE_LATENTS =
      run(
          OUTPUT,
          "cache_latents",
          ValueType.flag(),
          true,
          "Keep encoded pictures and prompts on disk; otherwise in memory, for one run.",
          c -> c.output().cacheDir() != null);
  static final Key<Config, Path> CACHE_DIR =
      run(
          OUTPUT,
          "cache_dir",
          ValueType.path(),
          null,
          "Where; runs may share it. Default <output_dir>/cache.",
          c -> c.output().cacheDir());

  private Keys() {}

  /** The keys of a run, in the order of {@code --help}. */
  static List<Key<Config, ?>> ofRun() {
    return Stream.of(DataKeys.all(), RUN, EmaKeys.all(), ComputeKeys.all(), MemoryKeys.all())
        .flatMap(List::stream)
        .toList();
  }

  /** All keys: each works in a file and as a flag. */
  public static List<Key<?, ?>> all() {
    return Stream.<Key<?, ?>>concat(ofRun().stream(), ConceptKeys.all().stream()).toList();
  }

  /** The sampler that diffusers or the extension calls by this name. */
  private static String sampler(String name) {
    String plain = name.endsWith("Scheduler") ? name.substring(0, name.length() - 9) : name;
    return switch (plain) {
      case "DDPM" -> "ddpm";
      case "DDIM" -> "ddim";
      case "PNDM" -> "pndm";
      case "EulerDiscrete" -> "euler";
      case "EulerAncestralDiscrete" -> "euler_ancestral";
      case "DPMSolverMultistep" -> "dpmpp_2m";
      case "UniPCMultistep" -> "unipc";
      default -> name;
    };
  }

  private static <T> Key<Config, T> run(
      Group group,
      String name,
      ValueType<T> type,
      @Nullable T standard,
      String description,
      Function<Config, @Nullable T> getter,
      String... aliases) {
    return run(group, name, type, standard, standard, description, getter, aliases);
  }

  private static <T> Key<Config, T> run(
      Group group,
      String name,
      ValueType<T> type,
      @Nullable T standard,
      @Nullable T extensionStandard,
      String description,
      Function<Config, @Nullable T> getter,
      String... aliases) {
    Key<Config, T> key =
        new Key<>(group, name, type, standard, extensionStandard, description, getter, aliases);
    RUN.add(key);
    return key;
  }
}
