package dreambooth4j.config;

import dreambooth4j.config.ConceptConfig.ClassImages;
import dreambooth4j.config.ConceptConfig.Samples;
import dreambooth4j.config.Layer.Raw;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/**
 * The concepts of a configuration, each from its own values; what is wrong goes to the sources'
 * errors.
 */
final class ConceptReader {
  private static final List<Key<ConceptConfig, ?>> OF_ONE_CONCEPT =
      List.of(
          ConceptKeys.INSTANCE_DATA_DIR, ConceptKeys.INSTANCE_TOKEN, ConceptKeys.CLASS_DATA_DIR);

  private final Sources sources;

  ConceptReader(Sources sources) {
    this.sources = sources;
  }

  /**
   * The concepts, with names of their own.
   *
   * @param outputDir where class images lie that have no folder
   */
  List<ConceptConfig> concepts(List<Values> conceptValues, Path outputDir) {
    List<ConceptConfig> concepts = new ArrayList<>();
    Set<String> names = new HashSet<>();
    if (conceptValues.size() > 1) {
      for (Key<ConceptConfig, ?> key : OF_ONE_CONCEPT) {
        Raw raw = sources.flags.get(key);
        if (raw != null) {
          sources.errors.add(
              "%s: there are %d concepts: change it in the file"
                  .formatted(raw.origin(), conceptValues.size()));
        }
      }
    }
    for (Values values : conceptValues) {
      Path pictures = values.orNull(ConceptKeys.INSTANCE_DATA_DIR);
      if (pictures == null) {
        String which = conceptValues.size() > 1 ? " in concept " + (concepts.size() + 1) : "";
        sources.errors.add(
            "instance_data_dir is missing%s: give the folder of the subject's pictures"
                .formatted(which));
        pictures = Path.of("");
      }
      ConceptConfig concept = concept(values, pictures, outputDir, names);
      check(concept);
      concepts.add(concept);
    }
    return List.copyOf(concepts);
  }

  private static ConceptConfig concept(
      Values values, Path pictures, Path outputDir, Set<String> names) {
    String token = words(values.get(ConceptKeys.INSTANCE_TOKEN));
    String name =
        uniqueName(token.isEmpty() ? String.valueOf(pictures.getFileName()) : token, names);
    Path classDir = values.orNull(ConceptKeys.CLASS_DATA_DIR);
    boolean perPicture =
        values.has(ConceptKeys.NUM_CLASS_IMAGES_PER)
            && !values.outranks(ConceptKeys.NUM_CLASS_IMAGES, ConceptKeys.NUM_CLASS_IMAGES_PER);
    Integer total = perPicture ? null : values.orNull(ConceptKeys.NUM_CLASS_IMAGES);
    return new ConceptConfig(
        name,
        pictures,
        token,
        values.get(ConceptKeys.INSTANCE_PROMPT),
        values.get(ConceptKeys.LOSS_WEIGHT),
        values.get(ConceptKeys.CROP),
        new ClassImages(
            classDir == null ? outputDir.resolve("class_images").resolve(name) : classDir,
            words(values.get(ConceptKeys.CLASS_TOKEN)),
            values.orNull(ConceptKeys.CLASS_PROMPT),
            values.get(ConceptKeys.NUM_CLASS_IMAGES_PER),
            total,
            values.get(ConceptKeys.CLASS_NEGATIVE_PROMPT),
            values.get(ConceptKeys.CLASS_GUIDANCE_SCALE),
            values.get(ConceptKeys.CLASS_INFER_STEPS),
            values.orNull(ConceptKeys.CLASS_SCHEDULER),
            values.get(ConceptKeys.DISABLE_CLASS_MATCHING)),
        new Samples(
            values.get(ConceptKeys.N_SAVE_SAMPLE),
            values.get(ConceptKeys.SAVE_SAMPLE_PROMPT),
            values.get(ConceptKeys.SAVE_SAMPLE_NEGATIVE_PROMPT),
            values.get(ConceptKeys.SAVE_GUIDANCE_SCALE),
            values.get(ConceptKeys.SAVE_INFER_STEPS),
            values.get(ConceptKeys.SAMPLE_SEED)));
  }

  /** A folder name for a concept: letters, digits and what is harmless between them. */
  private static String uniqueName(String wanted, Set<String> taken) {
    String safe = wanted.replaceAll("[^\\p{L}\\p{N}._-]+", "_").replaceAll("^[._]+", "");
    String base = safe.isEmpty() ? "concept" : safe;
    String name = base;
    for (int i = 2; !taken.add(name); i++) {
      name = base + "-" + i;
    }
    return name;
  }

  private void check(ConceptConfig concept) {
    String instance = concept.instanceToken();
    String type = concept.classImages().token();
    if (instance.contains(",") || type.contains(",")) {
      sources.errors.add(
          "instance_token and class_token of %s: a comma separates tags, a token has none"
              .formatted(concept.name()));
    }
  }

  /** On if somebody says so, else if a concept says anything about its class. */
  boolean withPriorPreservation(
      Values run, List<Values> conceptValues, List<ConceptConfig> concepts) {
    Boolean said = run.orNull(Keys.WITH_PRIOR_PRESERVATION);
    boolean asked =
        said == null ? conceptValues.stream().anyMatch(ConceptReader::speaksOfClass) : said;
    if (!asked) {
      return false;
    }
    for (ConceptConfig concept : concepts) {
      ClassImages images = concept.classImages();
      if (images.wanted() && !images.unmatched() && !concept.hasClass()) {
        sources.errors.add(
            "class images of %s need a class_token or a class_prompt (or set num_class_images_per: 0)"
                .formatted(concept.name()));
      }
    }
    return concepts.stream().anyMatch(concept -> concept.classImages().wanted());
  }

  private static boolean speaksOfClass(Values values) {
    return Stream.of(
            ConceptKeys.CLASS_TOKEN,
            ConceptKeys.CLASS_PROMPT,
            ConceptKeys.CLASS_DATA_DIR,
            ConceptKeys.NUM_CLASS_IMAGES_PER,
            ConceptKeys.NUM_CLASS_IMAGES)
        .anyMatch(values::has);
  }

  private static String words(String token) {
    return token.strip().replaceAll("\\s+", " ");
  }
}
