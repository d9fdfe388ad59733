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
   * subject's own pictures under the captions that class images would have, and where the base
   * model is asked before the training, as often as there would be class images.
   */
  public static Map<ClassPool, List<ClassImage>> of(
      Config config, List<Concept> concepts, ClassImagePlan plan) {
    if (!config.prior().predicts()) {
      return plan.pools();
    }
    Map<ClassPool, List<ClassImage>> pools = new LinkedHashMap<>();
    for (Concept concept : concepts) {
      if (concept.config().classImages().wanted()) {
        int draws = config.prior().remembers() ? draws(concept) : 0;
        for (Picture picture : concept.pictures()) {
          picture.variants().forEach(variant -> add(pools, variant, draws));
        }
      }
    }
    return pools;
  }

  /** How many predictions of a concept the base model is asked for before the training. */
  public static int predictions(Concept concept) {
    int wordings = concept.pictures().stream().mapToInt(each -> each.variants().size()).sum();
    return concept.config().classImages().wanted() ? draws(concept) * wordings : 0;
  }

  /** How many of them a wording of a picture gets. */
  private static int draws(Concept concept) {
    return concept.config().classImages().per(concept.pictures().size());
  }

  private static void add(Map<ClassPool, List<ClassImage>> pools, Picture picture, int draws) {
    if (picture.classCaption().isEmpty()) {
      return;
    }
    List<ClassImage> pool = pools.computeIfAbsent(picture.pool(), p -> new ArrayList<>());
    ClassImage anew = new ClassImage(picture.file(), picture.classCaption(), picture.repeats());
    if (draws == 0) {
      pool.add(anew);
    }
    for (int draw = 0; draw < draws; draw++) {
      pool.add(new ClassImage(anew.file(), anew.prompt(), anew.repeats(), draw));
    }
  }
}
