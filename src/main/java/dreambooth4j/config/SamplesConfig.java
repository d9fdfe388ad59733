package dreambooth4j.config;

import dreambooth4j.diffusion.SamplerKind;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * When pictures are drawn to watch the training, and how.
 *
 * @param validationPrompt a prompt to draw beside those of the concepts; null draws none
 * @param numValidationImages pictures of it each time
 * @param validationSteps steps from one drawing to the next; 0 leaves it to savePreviewEvery
 * @param savePreviewEvery epochs from one drawing to the next; 0 leaves it to validationSteps
 * @param scheduler the sampler of samples and class images; null is the base model's own
 * @param promptWeights whether brackets in their prompts weigh words
 * @param wildcards folder of lists that their prompts name; null if there is none
 * @param promptFile of more prompts to draw; null if there is none
 * @param prompts those in it
 * @param loras are added to the model for sample pictures alone
 * @param tiled whether large pictures are decoded in tiles
 */
public record SamplesConfig(
    @Nullable String validationPrompt,
    int numValidationImages,
    int validationSteps,
    int savePreviewEvery,
    @Nullable SamplerKind scheduler,
    boolean promptWeights,
    @Nullable Path wildcards,
    @Nullable Path promptFile,
    List<SamplePrompt> prompts,
    List<WeightedLora> loras,
    boolean tiled) {
  static final Section<SamplesConfig> KEYS = new Section<>(Key.Group.SAMPLES);

  static final Key<SamplesConfig, String> VALIDATION_PROMPT =
      KEYS.key("validation_prompt", ValueType.text(), SamplesConfig::validationPrompt)
          .otherwise("none")
          .help(
              "A prompt to draw during the run, in addition to the sample pictures of each concept"
                  + " (save_sample_prompt): with 25 sampler steps and a guidance of 7.5, as"
                  + " diffusers does.");
  static final Key<SamplesConfig, Integer> NUM_VALIDATION_IMAGES =
      KEYS.key(
              "num_validation_images", ValueType.whole(0, 1000), SamplesConfig::numValidationImages)
          .standard(4)
          .unit("pictures")
          .help("Number of pictures of validation_prompt that are drawn each time.");
  static final Key<SamplesConfig, Integer> VALIDATION_STEPS =
      KEYS.key("validation_steps", ValueType.atLeast(0), SamplesConfig::validationSteps)
          .standard(100)
          .extension(0)
          .unit("steps")
          .help(
              "Number of steps between sample pictures, which are written to samples/ in"
                  + " output_dir; 0 draws them only at the end.");
  static final Key<SamplesConfig, Integer> SAVE_PREVIEW_EVERY =
      KEYS.key("save_preview_every", ValueType.atLeast(0), SamplesConfig::savePreviewEvery)
          .standard(0)
          .extension(5)
          .unit("epochs")
          .help(
              "Number of epochs between sample pictures, instead of validation_steps; with 0"
                  + " validation_steps applies.");
  static final Key<SamplesConfig, SamplerKind> SCHEDULER =
      KEYS.key("scheduler", Samplers.TYPE, SamplesConfig::scheduler)
          .otherwise("the base model's own")
          .extension(SamplerKind.DDIM)
          .alias("validation_scheduler")
          .help(
              "Sampler that draws sample pictures and, without class_scheduler, class images: "
                  + Samplers.SOME
                  + ".");

  static final Key<SamplesConfig, Boolean> PROMPT_WEIGHTS =
      KEYS.key("prompt_weights", ValueType.flag(), SamplesConfig::promptWeights)
          .standard(true)
          .help(
              "Weight words in your sample prompts as A1111's web UI does: (word:1.2) by 1.2,"
                  + " (word) by 1.1, [word] by 1/1.1; \\( is a plain bracket. false reads all"
                  + " brackets as plain text. For captions see weighted_captions.");
  static final Key<SamplesConfig, Path> WILDCARDS_DIR =
      KEYS.key("wildcards_dir", ValueType.path(), SamplesConfig::wildcards)
          .otherwise("none")
          .help(
              "Folder of wildcard files for sample prompts: __colour__ is replaced by a line of"
                  + " colour.txt in it, and {red|blue} by one of the words between the bars. The"
                  + " sample's seed decides, so that the choice is the same each time.");

  static final Key<SamplesConfig, Path> SAMPLE_PROMPTS =
      KEYS.key("sample_prompts", ValueType.path(), SamplesConfig::promptFile)
          .otherwise("none")
          .help(
              "Text file of further sample prompts, one per line and picture, each optionally"
                  + " followed by kohya's flags: --n negative prompt, --w width, --h height, --d"
                  + " seed, --s steps (30), --l guidance (7.5), --ss sampler.");

  static final Key<SamplesConfig, List<WeightedLora>> SAMPLE_LORAS =
      KEYS.key(
              "sample_loras",
              ValueType.list(
                  "paths of LoRA files, each with :WEIGHT or without",
                  (text, folder) ->
                      WeightedLora.parse(text, name -> ValueType.resolve(name, folder))),
              samples -> samples.loras().isEmpty() ? null : samples.loras())
          .otherwise("none")
          .help(
              "LoRA files that are added to the model while sample pictures are drawn, such as"
                  + " style.safetensors:0.7 for 70 % of its changes. They do not affect training or"
                  + " the saved model.");

  static final Key<SamplesConfig, Boolean> VAE_TILING =
      KEYS.key("vae_tiling", ValueType.flag(), SamplesConfig::tiled)
          .standard(false)
          .alias("enable_vae_tiling")
          .help(
              "Decode sample pictures and class images of more than 512 pixels a side in blended"
                  + " tiles of 512, like diffusers' enable_vae_tiling: halves the memory of a"
                  + " picture (saves 1.6 GB for SDXL at 1024); colours vary slightly from tile to"
                  + " tile.");

  static SamplesConfig of(Values run) {
    Path file = run.orNull(SAMPLE_PROMPTS);
    return new SamplesConfig(
        run.orNull(VALIDATION_PROMPT),
        run.get(NUM_VALIDATION_IMAGES),
        run.steps(VALIDATION_STEPS, SAVE_PREVIEW_EVERY),
        run.get(SAVE_PREVIEW_EVERY),
        run.orNull(SCHEDULER),
        run.get(PROMPT_WEIGHTS),
        run.orNull(WILDCARDS_DIR),
        file,
        file == null ? List.of() : SamplePromptFile.read(file, run::error, run::remark),
        Objects.requireNonNullElse(run.orNull(SAMPLE_LORAS), List.of()),
        run.get(VAE_TILING));
  }
}
