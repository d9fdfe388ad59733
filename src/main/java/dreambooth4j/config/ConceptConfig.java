package dreambooth4j.config;

import java.nio.file.Path;

/**
 * One subject to learn.
 *
 * @param name names the concept in folders and messages; unique in a run
 * @param instanceDataDir the folder of its pictures
 * @param instanceToken names the subject in prompts; may be empty
 * @param instancePrompt template of its prompts; {@code [filewords]} stands for a picture's caption
 * @param lossWeight weight of its pairs, instance and prior loss alike, beside those of others
 * @param repeats how often an epoch shows each of its pictures
 * @param crop where its pictures are cropped
 * @param weighted whether brackets in its captions weigh words
 * @param classImages its class and the class images to make
 * @param samples the pictures drawn of it to watch the training
 */
public record ConceptConfig(
    String name,
    Path instanceDataDir,
    String instanceToken,
    String instancePrompt,
    double lossWeight,
    int repeats,
    Crop crop,
    boolean weighted,
    ClassImagesConfig classImages,
    ConceptSamplesConfig samples) {
  static final Section<ConceptConfig> KEYS = new Section<>(Key.Group.DATA);

  static final Key<ConceptConfig, Path> INSTANCE_DATA_DIR =
      KEYS.key("instance_data_dir", ValueType.path(), ConceptConfig::instanceDataDir)
          .decidesNothing()
          .help(
              "Folder of the subject's pictures. The caption of 01.jpg is read from 01.txt in the"
                  + " same folder; without that file, the name of the picture file is its caption."
                  + " Required.");
  static final Key<ConceptConfig, String> INSTANCE_TOKEN =
      KEYS.key("instance_token", ValueType.text(), ConceptConfig::instanceToken)
          .standard("")
          .help(
              "Word that stands for the subject in prompts, such as sks: every instance prompt"
                  + " contains it, no caption of a class image does. Choose a word that means"
                  + " little to the base model.");
  static final Key<ConceptConfig, String> INSTANCE_PROMPT =
      KEYS.key("instance_prompt", ValueType.text(), ConceptConfig::instancePrompt)
          .standard("[filewords]")
          .help(
              "Prompt that the subject's pictures are trained with, such as a photo of sks dog;"
                  + " [filewords] in it stands for the picture's own caption.");
  static final Key<ConceptConfig, Double> LOSS_WEIGHT =
      KEYS.key("loss_weight", ValueType.upTo(1e6), ConceptConfig::lossWeight)
          .standard(1.0)
          .help(
              "Factor for the losses of a concept, both of its subject and of its class images: 2"
                  + " makes it count twice as much as a concept with 1. Only useful with several"
                  + " concepts in concepts_list.");
  static final Key<ConceptConfig, Integer> REPEATS =
      KEYS.key("repeats", ValueType.whole(1, 10_000), ConceptConfig::repeats)
          .standard(1)
          .unit("times")
          .help(
              "How many times each picture of a concept is shown per epoch; raise it for a concept"
                  + " with fewer pictures than the others. A folder named N_words multiplies it by"
                  + " N for the pictures in it.");
  static final Key<ConceptConfig, Crop> CROP =
      KEYS.key("crop", Crop.TYPE, ConceptConfig::crop)
          .standard(Crop.CENTER)
          .diffusers(Crop.RANDOM)
          .help(
              "Which part of a picture is kept when it is cropped to its training size: center,"
                  + " random (another part each time), or the point to keep as x,y from 0 to 1"
                  + " (0.5,0.2 is near the top). A file 01.crop with one of these overrides it for"
                  + " 01.jpg.");

  /**
   * One concept.
   *
   * @param pictures the folder of its pictures
   * @param name its name
   * @param classFolder the folder for class images that have none
   */
  static ConceptConfig of(Values values, Path pictures, String name, Path classFolder) {
    return new ConceptConfig(
        name,
        pictures,
        Spelling.words(values.get(INSTANCE_TOKEN)),
        values.get(INSTANCE_PROMPT),
        values.get(LOSS_WEIGHT),
        values.get(REPEATS),
        values.get(CROP),
        values.get(CaptionConfig.WEIGHTED_CAPTIONS),
        ClassImagesConfig.of(values, classFolder),
        ConceptSamplesConfig.of(values));
  }

  /** This concept with pictures of another folder. */
  ConceptConfig withInstanceDataDir(Path dir) {
    return new ConceptConfig(
        name,
        dir,
        instanceToken,
        instancePrompt,
        lossWeight,
        repeats,
        crop,
        weighted,
        classImages,
        samples);
  }

  /** This concept with its class images elsewhere. */
  public ConceptConfig withClassDataDir(Path dir) {
    return new ConceptConfig(
        name,
        instanceDataDir,
        instanceToken,
        instancePrompt,
        lossWeight,
        repeats,
        crop,
        weighted,
        classImages.in(dir),
        samples);
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
