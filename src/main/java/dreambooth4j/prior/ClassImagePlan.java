package dreambooth4j.prior;

import dreambooth4j.config.ConceptConfig;
import dreambooth4j.config.Config;
import dreambooth4j.data.Bucket;
import dreambooth4j.data.Buckets;
import dreambooth4j.data.Caption;
import dreambooth4j.data.ClassPool;
import dreambooth4j.data.Concept;
import dreambooth4j.data.ImageReader;
import dreambooth4j.data.Picture;
import dreambooth4j.data.PictureFolder;
import dreambooth4j.data.Prompts;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

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
   * @param needed how many there shall be
   * @param present those that are there; may be more
   */
  public record Need(ConceptConfig concept, ClassPool pool, int needed, List<Path> present) {
    /** How many are to be generated. */
    public int missing() {
      return Math.max(0, needed - present.size());
    }
  }

  /** The plan for these concepts. Of pictures in the class folders only the headers are read. */
  public static ClassImagePlan of(Config config, List<Concept> concepts) {
    List<Need> needs = new ArrayList<>();
    Map<String, Integer> skipped = new TreeMap<>();
    if (config.prior().withPriorPreservation()) {
      Buckets buckets = new Buckets(config.data().resolution());
      for (Concept concept : concepts) {
        if (concept.config().classImages().wanted()) {
          needs.addAll(needsOf(concept, buckets, skipped));
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
  public Map<ClassPool, List<Path>> pools() {
    Map<ClassPool, List<Path>> pools = new LinkedHashMap<>();
    needs.forEach(need -> pools.put(need.pool(), need.present()));
    return pools;
  }

  private static List<Need> needsOf(
      Concept concept, Buckets buckets, Map<String, Integer> skipped) {
    Map<ClassPool, Integer> pictures = new LinkedHashMap<>();
    for (Picture picture : concept.pictures()) {
      pictures.merge(picture.pool(), 1, Integer::sum);
    }
    Map<ClassPool, List<Path>> present = new LinkedHashMap<>();
    pictures.keySet().forEach(pool -> present.put(pool, new ArrayList<>()));
    collect(concept, buckets, present, skipped);
    int per = concept.config().classImages().per(concept.pictures().size());
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

  /** Puts each picture of the class folder into its pool, or counts why it belongs to none. */
  private static void collect(
      Concept concept,
      Buckets buckets,
      Map<ClassPool, List<Path>> present,
      Map<String, Integer> skipped) {
    ConceptConfig config = concept.config();
    Path dir = config.classImages().dataDir();
    if (!Files.exists(dir)) {
      return;
    }
    PictureFolder folder = PictureFolder.list(dir);
    folder.skipped().forEach((reason, count) -> skipped.merge(reason, count, Integer::sum));
    boolean fixed = !config.classTemplate().contains(Prompts.FILEWORDS);
    String fixedCaption = concept.pictures().get(0).classCaption();
    for (Path file : folder.pictures()) {
      boolean captioned = Files.isRegularFile(Caption.sidecar(file));
      if (!captioned && !fixed) {
        skipped.merge("no caption file", 1, Integer::sum);
        continue;
      }
      // The extension leaves empty tags in its captions, we do not.
      String caption = captioned ? Prompts.dropEmptyTags(Caption.of(file)) : fixedCaption;
      ImageReader.Size size = ImageReader.size(file);
      Bucket bucket = buckets.nearest(size.width(), size.height());
      List<Path> pool = present.get(new ClassPool(concept.index(), bucket, caption));
      if (size.width() < bucket.width() || size.height() < bucket.height()) {
        skipped.merge("smaller than its bucket", 1, Integer::sum);
      } else if (pool == null) {
        skipped.merge("caption and size of no instance picture", 1, Integer::sum);
      } else {
        pool.add(file);
      }
    }
  }
}
