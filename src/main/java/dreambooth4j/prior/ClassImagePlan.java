package dreambooth4j.prior;

import dreambooth4j.config.ClassImagesConfig;
import dreambooth4j.config.ConceptConfig;
import dreambooth4j.config.Config;
import dreambooth4j.data.ClassImage;
import dreambooth4j.data.ClassPool;
import dreambooth4j.data.Concept;
import dreambooth4j.data.Picture;
import dreambooth4j.data.PictureFolder;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;

/**
 * Which class images a run needs, which lie in their folders and which are missing: for each
 * concept, size and class caption, num_class_images_per times the instance pictures that have it.
 *
 * @param needs one for each pool, in the order of the pictures; empty without prior preservation
 * @param skipped how many files of the class folders count for nothing, by reason
 */
public record ClassImagePlan(List<Need> needs, Map<String, Integer> skipped) {
  /**
   * The class images of one pool.
   *
   * @param concept how they are generated and where they lie
   * @param needed how many are needed; 0 where a folder is used whole
   * @param present those that are there; may be more
   */
  public record Need(ConceptConfig concept, ClassPool pool, int needed, List<ClassImage> present) {
    /** How many are to be generated. */
    public int missing() {
      return Math.max(0, needed - present.size());
    }
  }

  /** The plan for these concepts. Of pictures in the class folders only the headers are read. */
  public static ClassImagePlan of(Config config, List<Concept> concepts) {
    return of(config, concepts, Concept.Refused.THROWN);
  }

  /** As {@link #of(Config, List)}, but hands over a class image that cannot be read and goes on. */
  public static ClassImagePlan of(
      Config config, List<Concept> concepts, Consumer<Concept.Refused> refusals) {
    List<Need> needs = new ArrayList<>();
    Map<String, Integer> skipped = new TreeMap<>();
    PictureFolder.Lister folders = new PictureFolder.Lister(config);
    if (config.prior().withPriorPreservation() && !config.prior().predicts()) {
      for (Concept concept : concepts) {
        if (concept.config().classImages().wanted()) {
          needs.addAll(needsOf(config, folders, concept, skipped, refusals));
        }
      }
    }
    return new ClassImagePlan(List.copyOf(needs), Collections.unmodifiableMap(skipped));
  }

  /** Class images to generate in all. */
  public int missing() {
    return needs.stream().mapToInt(Need::missing).sum();
  }

  /** Class images that are there. */
  public int present() {
    return needs.stream().mapToInt(need -> need.present().size()).sum();
  }

  /** The class images that are there, as the pair sampler takes them. */
  public Map<ClassPool, List<ClassImage>> pools() {
    Map<ClassPool, List<ClassImage>> pools = new LinkedHashMap<>();
    needs.forEach(need -> pools.put(need.pool(), need.present()));
    return pools;
  }

  private static List<Need> needsOf(
      Config config,
      PictureFolder.Lister folders,
      Concept concept,
      Map<String, Integer> skipped,
      Consumer<Concept.Refused> refusals) {
    Map<ClassPool, Integer> pictures = new LinkedHashMap<>();
    for (Picture picture : concept.pictures()) {
      picture.variants().forEach(variant -> pictures.merge(variant.pool(), 1, Integer::sum));
    }
    Map<ClassPool, List<ClassImage>> present =
        ClassFolder.sort(config, folders, concept, skipped, refusals);
    ClassImagesConfig how = concept.config().classImages();
    int per = how.unmatched() ? 0 : how.per(concept.pictures().size());
    List<Need> needs = new ArrayList<>();
    pictures.forEach(
        (pool, count) ->
            needs.add(
                new Need(
                    concept.config(),
                    pool,
                    Math.multiplyExact(per, count),
                    List.copyOf(present.getOrDefault(pool, List.of())))));
    return needs;
  }
}
