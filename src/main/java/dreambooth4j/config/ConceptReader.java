package dreambooth4j.config;

import dreambooth4j.config.Layer.Raw;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** The concepts of a configuration, each from its own values, and what they must be together. */
final class ConceptReader {
  private static final List<Key<?, ?>> OF_ONE_CONCEPT =
      List.of(
          ConceptConfig.INSTANCE_DATA_DIR,
          ConceptConfig.INSTANCE_TOKEN,
          ClassImagesConfig.DATA_DIR);

  private final List<Values> conceptValues;

  /** Reads concepts of these values. */
  ConceptReader(List<Values> conceptValues) {
    this.conceptValues = conceptValues;
  }

  /**
   * The concepts, with names of their own.
   *
   * @param outputDir where class images lie that have no folder
   */
  List<ConceptConfig> concepts(Path outputDir) {
    List<ConceptConfig> concepts = new ArrayList<>();
    Set<String> names = new HashSet<>();
    for (Values values : conceptValues) {
      checkFlags(values);
      Path pictures = values.orNull(ConceptConfig.INSTANCE_DATA_DIR);
      if (pictures == null) {
        String which = conceptValues.size() > 1 ? " in concept " + (concepts.size() + 1) : "";
        values.error(
            "instance_data_dir is missing%s: give the folder of the subject's pictures"
                .formatted(which));
        pictures = Path.of("");
      }
      String token = Spelling.words(values.get(ConceptConfig.INSTANCE_TOKEN));
      String name =
          uniqueName(token.isEmpty() ? String.valueOf(pictures.getFileName()) : token, names);
      Path classFolder = outputDir.resolve("class_images").resolve(name);
      ConceptConfig concept = ConceptConfig.of(values, pictures, name, classFolder);
      checkTokens(values, concept);
      concepts.add(concept);
    }
    return List.copyOf(concepts);
  }

  private void checkFlags(Values values) {
    if (conceptValues.size() < 2) {
      return;
    }
    for (Key<?, ?> key : OF_ONE_CONCEPT) {
      Raw raw = values.raw(key);
      if (raw != null && raw.isFlag()) {
        values.error(
            "%s: there are %d concepts: change it in the file"
                .formatted(raw.origin(), conceptValues.size()));
      }
    }
  }

  /** A folder name for a concept: letters, digits and what is harmless between them. */
  private static String uniqueName(String wanted, Set<String> taken) {
    String safe = Spelling.fileName(wanted);
    String base = safe.isEmpty() ? "concept" : safe;
    String name = base;
    for (int i = 2; !taken.add(name); i++) {
      name = base + "-" + i;
    }
    return name;
  }

  private static void checkTokens(Values values, ConceptConfig concept) {
    String instance = concept.instanceToken();
    String type = concept.classImages().token();
    if (instance.contains(",") || type.contains(",")) {
      values.error(
          "instance_token and class_token of %s must not contain a comma, which separates tags"
              .formatted(concept.name()));
    }
  }

  /**
   * On if somebody says so, else if a concept says anything about its class and the prior loss
   * counts: class images that nothing is learnt from are made only where they are asked for.
   */
  boolean withPriorPreservation(Values run, List<ConceptConfig> concepts) {
    Boolean said = run.orNull(PriorConfig.WITH_PRIOR_PRESERVATION);
    boolean asked =
        said == null
            ? PriorConfig.counts(run)
                && conceptValues.stream().anyMatch(ClassImagesConfig::isMentioned)
            : said;
    if (!asked) {
      return false;
    }
    for (ConceptConfig concept : concepts) {
      ClassImagesConfig images = concept.classImages();
      if (images.wanted() && !images.unmatched() && !concept.hasClass()) {
        run.error(
            "class images of %s need a class_token or a class_prompt (or set num_class_images_per: 0)"
                .formatted(concept.name()));
      }
    }
    return concepts.stream().anyMatch(concept -> concept.classImages().wanted());
  }
}
