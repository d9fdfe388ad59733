package dreambooth4j.config;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * One subject to learn.
 *
 * @param name names the concept in folders and messages; unique in a run
 * @param instanceDataDir the folder of its pictures
 * @param instanceToken names the subject in prompts; may be empty
 * @param instancePrompt template of its prompts; {@code [filewords]} stands for a picture's caption
 * @param lossWeight weight of its pairs, instance and prior loss alike, beside those of others
 * @param crop where its pictures are cropped
 * @param classImages its class and the class images to make
 * @param samples the pictures drawn of it to watch the training
 */
public record ConceptConfig(
    String name,
    Path instanceDataDir,
    String instanceToken,
    String instancePrompt,
    double lossWeight,
    Crop crop,
    ClassImages classImages,
    Samples samples) {

  /**
   * The class that the subject belongs to.
   *
   * @param dataDir the folder of its class images
   * @param token names the class in prompts; may be empty
   * @param prompt template of the class captions; null takes the instance prompt's
   * @param numPer class images for each instance picture
   * @param total class images in all, as diffusers counts them; null leaves it to numPer
   * @param negativePrompt what class images shall not show
   * @param guidanceScale guidance of their generation
   * @param inferSteps sampler steps of their generation
   * @param scheduler their sampler, one of {@link Keys#SAMPLERS}; null is that of the samples
   * @param unmatched whether the folder is used whole, each picture with its own caption, and
   *     nothing is generated
   */
  public record ClassImages(
      Path dataDir,
      String token,
      @Nullable String prompt,
      int numPer,
      @Nullable Integer total,
      String negativePrompt,
      double guidanceScale,
      int inferSteps,
      @Nullable String scheduler,
      boolean unmatched) {
    /** Class images for each of so many instance pictures. */
    public int per(int pictures) {
      return total == null ? numPer : (total + pictures - 1) / pictures;
    }

    /** Whether class images are asked for at all. */
    public boolean wanted() {
      return total == null ? numPer > 0 : total > 0;
    }
  }

  /**
   * Sample pictures.
   *
   * @param count pictures each time
   * @param prompt their prompt; empty takes an instance prompt
   * @param negativePrompt what they shall not show
   * @param guidanceScale their guidance
   * @param inferSteps their sampler steps
   * @param seed their seed; negative derives one from the run's seed
   */
  public record Samples(
      int count,
      String prompt,
      String negativePrompt,
      double guidanceScale,
      int inferSteps,
      long seed) {}

  /** This concept with its class images elsewhere. */
  public ConceptConfig withClassDataDir(Path dir) {
    ClassImages c = classImages;
    ClassImages moved =
        new ClassImages(
            dir,
            c.token,
            c.prompt,
            c.numPer,
            c.total,
            c.negativePrompt,
            c.guidanceScale,
            c.inferSteps,
            c.scheduler,
            c.unmatched);
    return new ConceptConfig(
        name, instanceDataDir, instanceToken, instancePrompt, lossWeight, crop, moved, samples);
  }

  /**
   * The template of class captions: the class prompt, else the instance prompt. Class images with
   * captions of their own have those instead of the instance prompt.
   */
  public String classTemplate() {
    String prompt = classImages.prompt();
    return prompt != null ? prompt : classImages.unmatched() ? "[filewords]" : instancePrompt;
  }

  /** Whether anything says what the class is: without, there is no class caption. */
  public boolean hasClass() {
    return !classImages.token().isEmpty() || classImages.prompt() != null;
  }
}
