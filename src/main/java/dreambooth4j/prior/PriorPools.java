package dreambooth4j.prior;

import dreambooth4j.config.Config;
import dreambooth4j.data.ClassImage;
import dreambooth4j.data.ClassPool;
import dreambooth4j.data.Concept;
import dreambooth4j.data.Picture;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What instance pictures are paired with for the prior loss. */
public final class PriorPools {
  private PriorPools() {}

  /**
   * The pictures of each pool: the plan's class images; or with {@code prior: prediction} the
   * subject's own pictures under the captions that class images would have.
   */
  public static Map<ClassPool, List<ClassImage>> of(
      Config config, List<Concept> concepts, ClassImagePlan plan) {
    if (!config.prior().predicts()) {
      return plan.pools();
    }
    Map<ClassPool, List<ClassImage>> pools = new LinkedHashMap<>();
    for (Concept concept : concepts) {
      if (concept.config().classImages().wanted()) {
        for (Picture picture : concept.pictures()) {
          picture.variants().forEach(variant -> add(pools, variant));
        }
      }
    }
    return pools;
  }

  private static void add(Map<ClassPool, List<ClassImage>> pools, Picture picture) {
    if (!picture.classCaption().isEmpty()) {
      pools
          .computeIfAbsent(picture.pool(), pool -> new ArrayList<>())
          .add(new ClassImage(picture.file(), picture.classCaption(), picture.repeats()));
    }
  }
}
