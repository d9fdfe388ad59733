package dreambooth4j.config;

import dreambooth4j.diffusion.SamplerKind;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The class that a subject belongs to, and the class images that the base model makes of it.
 *
 * @param dataDir the folder of its class images
 * @param token names the class in prompts; may be empty
 * @param prompt template of the class captions; null takes the instance prompt's
 * @param numPer class images for each instance picture
 * @param total class images in all, as diffusers counts them; null leaves it to numPer
 * @param negativePrompt what class images are drawn away from
 * @param guidanceScale guidance of their generation
 * @param inferSteps sampler steps of their generation
 * @param scheduler their sampler; null is that of the samples
 * @param unmatched whether the folder is used whole, each picture with its own caption, and nothing
 *     is generated
 */
public record ClassImagesConfig(
    Path dataDir,
    String token,
    @Nullable String prompt,
    int numPer,
    @Nullable Integer total,
    String negativePrompt,
    double guidanceScale,
    int inferSteps,
    @Nullable SamplerKind scheduler,
    boolean unmatched) {
  static final Section<ClassImagesConfig> KEYS = new Section<>(Key.Group.PRIOR_LOSS);

  static final Key<ClassImagesConfig, Path> DATA_DIR =
      KEYS.key("class_data_dir", ValueType.path(), ClassImagesConfig::dataDir)
          .otherwise("<output_dir>/class_images/<concept>")
          .decidesNothing()
          .help(
              "Folder of the class images: images that are already there and fit are used, missing"
                  + " ones are made. Several runs may share one folder.");
  static final Key<ClassImagesConfig, String> TOKEN =
      KEYS.key("class_token", ValueType.text(), ClassImagesConfig::token)
          .standard("")
          .help(
              "Word for what the subject is, such as man or dog. It replaces instance_token in the"
                  + " captions of class images, and turns the prior loss on.");
  static final Key<ClassImagesConfig, String> PROMPT =
      KEYS.key("class_prompt", ValueType.text(), ClassImagesConfig::prompt)
          .otherwise("instance_prompt without the subject")
          .help(
              "Caption of the class images, such as a photo of a dog; [filewords] in it stands for"
                  + " the instance picture's caption without the subject.");
  static final Key<ClassImagesConfig, Integer> NUM_PER =
      KEYS.key(
              "num_class_images_per",
              ValueType.whole(0, 100_000),
              images -> images.total == null ? images.numPer : null)
          .standard(1)
          .extension(0)
          .unit("pictures")
          .help(
              "Number of class images to make for each instance picture; each epoch trains on one"
                  + " of them. 0 makes none for the concept.");
  static final Key<ClassImagesConfig, Integer> TOTAL =
      KEYS.key("num_class_images", ValueType.atLeast(0), ClassImagesConfig::total)
          .otherwise("left to num_class_images_per")
          .diffusers(100)
          .unit("pictures")
          .help(
              "Total number of class images of a concept, divided evenly among its instance"
                  + " pictures and rounded up; num_class_images_per, if set, overrides it.");
  static final Key<ClassImagesConfig, String> NEGATIVE_PROMPT =
      KEYS.key("class_negative_prompt", ValueType.text(), ClassImagesConfig::negativePrompt)
          .standard("")
          .help("Negative prompt of the class images: what they should not show.");
  static final Key<ClassImagesConfig, Double> GUIDANCE_SCALE =
      KEYS.key("class_guidance_scale", ValueType.upTo(1000), ClassImagesConfig::guidanceScale)
          .standard(7.5)
          .help(
              "How closely class images follow their captions (classifier-free guidance scale): 1"
                  + " is no guidance, 5 to 10 is usual.");
  static final Key<ClassImagesConfig, Integer> INFER_STEPS =
      KEYS.key(
              "class_infer_steps",
              ValueType.whole(1, Samplers.MOST_STEPS),
              ClassImagesConfig::inferSteps)
          .standard(60)
          .diffusers(50)
          .unit("steps")
          .help(
              "Number of sampler steps for each class image: fewer are faster and give less detail;"
                  + " 20 to 60 is usual.");
  static final Key<ClassImagesConfig, SamplerKind> SCHEDULER =
      KEYS.key("class_scheduler", Samplers.TYPE, ClassImagesConfig::scheduler)
          .otherwise("as scheduler")
          .help("Sampler that draws class images: " + Samplers.SOME + ".");
  static final Key<ClassImagesConfig, Boolean> UNMATCHED =
      KEYS.key("disable_class_matching", ValueType.flag(), ClassImagesConfig::unmatched)
          .standard(false)
          .help(
              "Train on all pictures of class_data_dir, each with its own caption, and generate"
                  + " none: for a folder of regularisation pictures of your own.");

  /**
   * The class of a concept.
   *
   * @param otherwise the folder for class images that have none
   */
  static ClassImagesConfig of(Values values, Path otherwise) {
    Path given = values.orNull(DATA_DIR);
    boolean each = values.has(NUM_PER) && !values.outranks(TOTAL, NUM_PER);
    return new ClassImagesConfig(
        given == null ? otherwise : given,
        Spelling.words(values.get(TOKEN)),
        values.orNull(PROMPT),
        values.get(NUM_PER),
        each ? null : values.orNull(TOTAL),
        values.get(NEGATIVE_PROMPT),
        values.get(GUIDANCE_SCALE),
        values.get(INFER_STEPS),
        values.orNull(SCHEDULER),
        values.get(UNMATCHED));
  }

  /** Whether somebody says anything about the class. */
  static boolean isMentioned(Values values) {
    return Stream.of(TOKEN, PROMPT, DATA_DIR, NUM_PER, TOTAL).anyMatch(values::has);
  }

  /** The same elsewhere. */
  ClassImagesConfig in(Path dir) {
    return new ClassImagesConfig(
        dir,
        token,
        prompt,
        numPer,
        total,
        negativePrompt,
        guidanceScale,
        inferSteps,
        scheduler,
        unmatched);
  }

  /** Class images for each of so many instance pictures. */
  public int per(int pictures) {
    return total == null ? numPer : (total + pictures - 1) / pictures;
  }

  /** Whether class images are asked for at all. */
  public boolean wanted() {
    return total == null ? numPer > 0 : total > 0;
  }
}
