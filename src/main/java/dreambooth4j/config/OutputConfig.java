package dreambooth4j.config;

import java.nio.file.Path;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * What a run leaves.
 *
 * @param outputDir where the model lies, with samples, class images and checkpoints beside it
 * @param saveModelAs what a model that trains whole is saved as
 * @param savePrecision what its weights, or those of a LoRA, are saved in; null for F32 of what
 *     trained, and the rest as it is in the base model
 * @param noMetadata whether a LoRA's file says nothing of how it was trained
 * @param checkpointingSteps steps from one checkpoint to the next; 0 leaves it to
 *     saveEmbeddingEvery
 * @param saveEmbeddingEvery epochs from one checkpoint to the next; 0 leaves it to
 *     checkpointingSteps
 * @param checkpointingMinutes minutes after which a checkpoint is written in any case; 0 for never
 * @param checkpointsTotalLimit checkpoints kept, older ones are deleted; null keeps all
 * @param checkpointsKeepEvery checkpoints of multiples of so many steps are not deleted; 0 for none
 * @param saveModelEvery steps from one model on the way to the next; 0 for none
 * @param saveStateAfter whether a checkpoint is written at the run's end too
 * @param resumeFromCheckpoint "latest" or an absolute path; null starts anew
 * @param cacheDir where latents and prompts are kept from one run to the next; null keeps them in
 *     memory
 */
public record OutputConfig(
    Path outputDir,
    SaveAs saveModelAs,
    @Nullable FloatType savePrecision,
    boolean noMetadata,
    int checkpointingSteps,
    int saveEmbeddingEvery,
    double checkpointingMinutes,
    @Nullable Integer checkpointsTotalLimit,
    int checkpointsKeepEvery,
    int saveModelEvery,
    boolean saveStateAfter,
    @Nullable String resumeFromCheckpoint,
    @Nullable Path cacheDir) {
  /** What a model is saved as. */
  public enum SaveAs {
    /** A folder for diffusers. */
    DIFFUSERS,
    /** A single file. */
    SAFETENSORS,
    /** The one and the other. */
    BOTH;

    /** The name in configuration files. */
    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  static final Section<OutputConfig> KEYS = new Section<>(Key.Group.OUTPUT);

  /** A year. */
  private static final double MOST_MINUTES = 525_600;

  static final Key<OutputConfig, Path> OUTPUT_DIR =
      KEYS.key("output_dir", ValueType.path(), OutputConfig::outputDir)
          .otherwise(
              "output beside the configuration file (output/<model_name> for a db_config.json), or"
                  + " in the working folder where there is none")
          .diffusers(Path.of("dreambooth-model"))
          .help(
              "Folder for the trained model and for everything else that a run writes: samples,"
                  + " class images, checkpoints, metrics.");
  static final Key<OutputConfig, SaveAs> SAVE_MODEL_AS =
      KEYS.key("save_model_as", ValueType.oneOf(SaveAs.class), OutputConfig::saveModelAs)
          .standard(SaveAs.DIFFUSERS)
          .help(
              "Format of the trained model: diffusers makes output_dir a diffusers folder;"
                  + " safetensors writes one file into it, named after the folder, which ComfyUI"
                  + " and the web UIs load; both writes both. The format of a LoRA is set by"
                  + " lora_files.");
  static final Key<OutputConfig, FloatType> SAVE_PRECISION =
      KEYS.key("save_precision", ValueType.oneOf(FloatType.class), OutputConfig::savePrecision)
          .otherwise("fp32 for what trained, the rest as it is in the base model")
          .help(
              "Precision of all weights of the saved model: fp16 and bf16 halve it, and pictures"
                  + " hardly change. Training and checkpoints do not change; to train on later,"
                  + " keep fp32. With use_lora it is the type of the LoRA file, fp32 unless it or"
                  + " half_lora says otherwise.");
  static final Key<OutputConfig, Boolean> NO_METADATA =
      KEYS.key("no_metadata", ValueType.flag(), OutputConfig::noMetadata)
          .standard(false)
          .help(
              "Leave the training data out of a LoRA file's metadata (learning rate, seed, base"
                  + " model's name, how often each tag occurs, and so on). What programs need to"
                  + " use the LoRA stays, and so do its title and trigger words.");
  static final Key<OutputConfig, Integer> CHECKPOINTING_STEPS =
      KEYS.key("checkpointing_steps", ValueType.atLeast(0), OutputConfig::checkpointingSteps)
          .standard(500)
          .extension(0)
          .unit("steps")
          .help(
              "Number of steps between checkpoints, from which resume_from_checkpoint continues; 0"
                  + " writes none during the run. One takes about 3 times the disk space of the"
                  + " trained weights.");
  static final Key<OutputConfig, Integer> SAVE_EMBEDDING_EVERY =
      KEYS.key("save_embedding_every", ValueType.atLeast(0), OutputConfig::saveEmbeddingEvery)
          .standard(0)
          .extension(25)
          .unit("epochs")
          .help(
              "Number of epochs between checkpoints, instead of checkpointing_steps; with 0"
                  + " checkpointing_steps applies.");
  static final Key<OutputConfig, Double> CHECKPOINTING_MINUTES =
      KEYS.key(
              "checkpointing_minutes",
              ValueType.number(0, MOST_MINUTES),
              OutputConfig::checkpointingMinutes)
          .standard(0.0)
          .unit("minutes")
          .help(
              "Also write a checkpoint when this many minutes have passed since the last one, so"
                  + " that no more training time is lost if the machine stops. 0 writes none by the"
                  + " clock.");
  static final Key<OutputConfig, Integer> CHECKPOINTS_TOTAL_LIMIT =
      KEYS.key("checkpoints_total_limit", ValueType.atLeast(1), OutputConfig::checkpointsTotalLimit)
          .otherwise("all are kept")
          .unit("checkpoints")
          .help(
              "Number of checkpoints to keep: the oldest ones are deleted when another is written."
                  + " Those protected by checkpoints_keep_every are not counted.");
  static final Key<OutputConfig, Integer> CHECKPOINTS_KEEP_EVERY =
      KEYS.key("checkpoints_keep_every", ValueType.atLeast(0), OutputConfig::checkpointsKeepEvery)
          .standard(0)
          .unit("steps")
          .help(
              "Never delete a checkpoint whose step is a multiple of this, whatever"
                  + " checkpoints_total_limit says: 1000 protects those of steps 1000, 2000 and so"
                  + " on. 0 protects none.");
  static final Key<OutputConfig, Integer> SAVE_MODEL_EVERY =
      KEYS.key("save_model_every", ValueType.atLeast(0), OutputConfig::saveModelEvery)
          .standard(0)
          .unit("steps")
          .help(
              "Number of steps between copies of the current model, written to"
                  + " output_dir/model-STEP so that the best can be chosen; each takes the disk"
                  + " space of a whole model or LoRA file. 0 saves only at the end.");
  static final Key<OutputConfig, Boolean> SAVE_STATE_AFTER =
      KEYS.key("save_state_after", ValueType.flag(), OutputConfig::saveStateAfter)
          .standard(false)
          .help(
              "Also write a checkpoint at the end of the run, so that it can be continued with more"
                  + " steps later. It takes about 3 times the disk space of the trained weights.");
  static final Key<OutputConfig, String> RESUME_FROM_CHECKPOINT =
      KEYS.key("resume_from_checkpoint", ValueType.pathOrName(), OutputConfig::resumeFromCheckpoint)
          .otherwise("a new run")
          .help(
              "Continue an earlier run: latest uses the newest checkpoint in output_dir; auto does"
                  + " too, but starts a new run if none was started there yet, for launchers that"
                  + " restart a job; or give the folder of a checkpoint.");
  static final Key<OutputConfig, Boolean> CACHE_LATENTS =
      KEYS.key("cache_latents", ValueType.flag(), output -> output.cacheDir() != null)
          .standard(true)
          .help(
              "Store encoded pictures and prompts on disk in cache_dir, so that later runs can use"
                  + " them; false keeps them in memory for this run only.");
  static final Key<OutputConfig, Path> CACHE_DIR =
      KEYS.key("cache_dir", ValueType.path(), OutputConfig::cacheDir)
          .otherwise("<output_dir>/cache")
          .help(
              "Folder for encoded pictures and prompts (see cache_latents). Several runs, also at"
                  + " the same time, may share one and then encode each picture only once.");

  static OutputConfig of(Values run) {
    Path wanted = run.orNull(OUTPUT_DIR);
    Path folder = run.inFolder(wanted == null ? run.outputName() : wanted).normalize();
    Path cache = run.orNull(CACHE_DIR);
    return new OutputConfig(
        folder,
        run.get(SAVE_MODEL_AS),
        run.orNull(SAVE_PRECISION),
        run.get(NO_METADATA),
        run.steps(CHECKPOINTING_STEPS, SAVE_EMBEDDING_EVERY),
        run.get(SAVE_EMBEDDING_EVERY),
        run.get(CHECKPOINTING_MINUTES),
        run.orNull(CHECKPOINTS_TOTAL_LIMIT),
        run.get(CHECKPOINTS_KEEP_EVERY),
        run.get(SAVE_MODEL_EVERY),
        run.get(SAVE_STATE_AFTER),
        run.orNull(RESUME_FROM_CHECKPOINT),
        !run.get(CACHE_LATENTS)
            ? null
            : cache == null ? folder.resolve("cache") : cache.toAbsolutePath().normalize());
  }
}
