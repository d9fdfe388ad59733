package dreambooth4j.config;

import static dreambooth4j.config.Key.Group.DATA;
import static dreambooth4j.config.Key.Group.PRIOR_LOSS;
import static dreambooth4j.config.Key.Group.SAMPLES;

import dreambooth4j.config.Key.Group;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * The keys of one concept. They stand in an entry of {@code concepts_list}, or at the top level,
 * where they hold for every concept.
 */
final class ConceptKeys {
  private static final List<Key<ConceptConfig, ?>> ALL = new ArrayList<>();

  static final Key<ConceptConfig, Path> INSTANCE_DATA_DIR =
      key(
          DATA,
          "instance_data_dir",
          ValueType.path(),
          null,
          "Folder of the subject's pictures, captions beside them as .txt.",
          ConceptConfig::instanceDataDir);
  static final Key<ConceptConfig, String> INSTANCE_TOKEN =
      key(
          DATA,
          "instance_token",
          ValueType.text(),
          "",
          "The word for the subject.",
          ConceptConfig::instanceToken);
  static final Key<ConceptConfig, String> INSTANCE_PROMPT =
      key(
          DATA,
          "instance_prompt",
          ValueType.text(),
          "[filewords]",
          "Template of the instance prompts; [filewords] stands for a picture's caption.",
          ConceptConfig::instancePrompt);
  static final Key<ConceptConfig, Double> LOSS_WEIGHT =
      key(
          DATA,
          "loss_weight",
          ValueType.notNegative(),
          1.0,
          "Weight of a concept's losses, instance and prior alike, beside those of the others.",
          ConceptConfig::lossWeight);
  static final Key<ConceptConfig, Crop> CROP =
      key(
          DATA,
          "crop",
          ValueType.crop(),
          Crop.CENTER,
          "Where pictures are cropped: center, random, or a point to keep, as 0.5,0.2; 01.crop with"
              + " one of these overrides it for 01.jpg.",
          ConceptConfig::crop);
  static final Key<ConceptConfig, Path> CLASS_DATA_DIR =
      key(
          PRIOR_LOSS,
          "class_data_dir",
          ValueType.path(),
          null,
          "Folder of the class images; default <output_dir>/class_images/<concept>.",
          c -> c.classImages().dataDir());
  static final Key<ConceptConfig, String> CLASS_TOKEN =
      key(
          PRIOR_LOSS,
          "class_token",
          ValueType.text(),
          "",
          "The word for the subject's class.",
          c -> c.classImages().token());
  static final Key<ConceptConfig, String> CLASS_PROMPT =
      key(
          PRIOR_LOSS,
          "class_prompt",
          ValueType.text(),
          null,
          "Template of the class captions; default the instance prompt's.",
          c -> c.classImages().prompt());
  static final Key<ConceptConfig, Integer> NUM_CLASS_IMAGES_PER =
      key(
          PRIOR_LOSS,
          "num_class_images_per",
          ValueType.whole(0, 100_000),
          1,
          0,
          "Class images for each instance picture.",
          c -> c.classImages().total() == null ? c.classImages().numPer() : null);
  static final Key<ConceptConfig, Integer> NUM_CLASS_IMAGES =
      key(
          PRIOR_LOSS,
          "num_class_images",
          ValueType.atLeast(0),
          null,
          "Class images in all, shared out evenly, if num_class_images_per is not given.",
          c -> c.classImages().total());
  static final Key<ConceptConfig, String> CLASS_NEGATIVE_PROMPT =
      key(
          PRIOR_LOSS,
          "class_negative_prompt",
          ValueType.text(),
          "",
          "What class images shall not show.",
          c -> c.classImages().negativePrompt());
  static final Key<ConceptConfig, Double> CLASS_GUIDANCE_SCALE =
      key(
          PRIOR_LOSS,
          "class_guidance_scale",
          ValueType.notNegative(),
          7.5,
          "Guidance with which class images are generated.",
          c -> c.classImages().guidanceScale());
  static final Key<ConceptConfig, Integer> CLASS_INFER_STEPS =
      key(
          PRIOR_LOSS,
          "class_infer_steps",
          ValueType.whole(1, 1000),
          60,
          "Sampler steps with which class images are generated.",
          c -> c.classImages().inferSteps());
  static final Key<ConceptConfig, String> CLASS_SCHEDULER =
      key(
          PRIOR_LOSS,
          "class_scheduler",
          Keys.SAMPLER,
          null,
          "Sampler with which class images are generated; default scheduler's.",
          c -> c.classImages().scheduler());
  static final Key<ConceptConfig, Boolean> DISABLE_CLASS_MATCHING =
      key(
          PRIOR_LOSS,
          "disable_class_matching",
          ValueType.flag(),
          false,
          "Use class_data_dir whole, each picture with its own caption, and generate nothing.",
          c -> c.classImages().unmatched());
  static final Key<ConceptConfig, Integer> N_SAVE_SAMPLE =
      key(
          SAMPLES,
          "n_save_sample",
          ValueType.whole(0, 1000),
          1,
          "Sample pictures of a concept each time.",
          c -> c.samples().count());
  static final Key<ConceptConfig, String> SAVE_SAMPLE_PROMPT =
      key(
          SAMPLES,
          "save_sample_prompt",
          ValueType.text(),
          "",
          "Their prompt; default an instance prompt.",
          c -> c.samples().prompt());
  static final Key<ConceptConfig, String> SAVE_SAMPLE_NEGATIVE_PROMPT =
      key(
          SAMPLES,
          "save_sample_negative_prompt",
          ValueType.text(),
          "",
          "What they shall not show.",
          c -> c.samples().negativePrompt());
  static final Key<ConceptConfig, Double> SAVE_GUIDANCE_SCALE =
      key(
          SAMPLES,
          "save_guidance_scale",
          ValueType.notNegative(),
          7.5,
          "Their guidance.",
          c -> c.samples().guidanceScale());
  static final Key<ConceptConfig, Integer> SAVE_INFER_STEPS =
      key(
          SAMPLES,
          "save_infer_steps",
          ValueType.whole(1, 1000),
          20,
          "Their sampler steps.",
          c -> c.samples().inferSteps());
  static final Key<ConceptConfig, Long> SAMPLE_SEED =
      key(
          SAMPLES,
          "sample_seed",
          ValueType.seed(),
          -1L,
          "Their seed; -1 derives one from seed.",
          c -> c.samples().seed());

  private ConceptKeys() {}

  /** All of them, in the order of {@code --help}. */
  static List<Key<ConceptConfig, ?>> all() {
    return List.copyOf(ALL);
  }

  private static <T> Key<ConceptConfig, T> key(
      Group group,
      String name,
      ValueType<T> type,
      @Nullable T standard,
      String description,
      Function<ConceptConfig, @Nullable T> getter) {
    return key(group, name, type, standard, standard, description, getter);
  }

  private static <T> Key<ConceptConfig, T> key(
      Group group,
      String name,
      ValueType<T> type,
      @Nullable T standard,
      @Nullable T extensionStandard,
      String description,
      Function<ConceptConfig, @Nullable T> getter) {
    Key<ConceptConfig, T> key =
        new Key<>(group, name, type, standard, extensionStandard, description, getter);
    ALL.add(key);
    return key;
  }
}
