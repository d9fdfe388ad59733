package dreambooth4j.data;

import dreambooth4j.random.CounterRandom;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Says which pictures each batch of an epoch shows. In every epoch each instance picture comes
 * once, with one class image of its own pool; a pool's images are all used before one comes again,
 * so that more class images change which are seen, never how many. An epoch is a function of seed
 * and number alone: a resumed run asks for its epoch without replaying those before.
 */
public final class PairSampler {
  /**
   * An instance picture and the class image beside it.
   *
   * @param classImage null if its pool has no class images; its prompt is instance.classCaption()
   */
  public record Pair(Picture instance, @Nullable Path classImage) {}

  /** Pairs of one size; either all of them have a class image or none has. */
  public record Batch(Bucket bucket, List<Pair> pairs) {
    /** Whether the prior loss can be taken. */
    public boolean hasClassImages() {
      return pairs.get(0).classImage() != null;
    }
  }

  private record Shape(Bucket bucket, boolean hasClassImages) {}

  private final List<Picture> pictures;
  private final Map<ClassPool, List<Path>> classImages;
  private final Map<ClassPool, List<Integer>> members = new LinkedHashMap<>();
  private final int batchSize;
  private final long seed;

  /**
   * A sampler over these pictures.
   *
   * @param classImages the class images of each pool; a pool may be missing
   * @param batchSize pairs a batch, at most
   */
  public PairSampler(
      List<Picture> pictures, Map<ClassPool, List<Path>> classImages, int batchSize, long seed) {
    if (batchSize < 1) {
      throw new IllegalArgumentException("batch size " + batchSize);
    }
    this.pictures = List.copyOf(pictures);
    this.classImages = Map.copyOf(classImages);
    this.batchSize = batchSize;
    this.seed = seed;
    for (int i = 0; i < pictures.size(); i++) {
      members.computeIfAbsent(pictures.get(i).pool(), pool -> new ArrayList<>()).add(i);
    }
  }

  /** Batches an epoch; every epoch has as many. */
  public int batchesPerEpoch() {
    Map<Shape, Integer> counts = new HashMap<>();
    members.forEach((pool, rows) -> counts.merge(shape(pool), rows.size(), Integer::sum));
    return counts.values().stream().mapToInt(n -> (n + batchSize - 1) / batchSize).sum();
  }

  /** The batches of an epoch, counted from 0. The last one of each size may be short. */
  public List<Batch> epoch(int epoch) {
    @Nullable Path[] chosen = chooseClassImages(epoch);
    Map<Shape, List<Pair>> open = new LinkedHashMap<>();
    List<Batch> batches = new ArrayList<>();
    for (int row : CounterRandom.at(seed, "order", epoch, 0).permutation(pictures.size())) {
      Picture picture = pictures.get(row);
      Shape shape = shape(picture.pool());
      List<Pair> batch = open.computeIfAbsent(shape, s -> new ArrayList<>());
      batch.add(new Pair(picture, chosen[row]));
      if (batch.size() == batchSize) {
        batches.add(new Batch(shape.bucket(), List.copyOf(batch)));
        batch.clear();
      }
    }
    open.forEach(
        (shape, rest) -> {
          if (!rest.isEmpty()) {
            batches.add(new Batch(shape.bucket(), List.copyOf(rest)));
          }
        });
    // Short batches shall not always be the last an epoch learns from.
    List<Batch> shuffled = new ArrayList<>();
    for (int i : CounterRandom.at(seed, "batches", epoch, 0).permutation(batches.size())) {
      shuffled.add(batches.get(i));
    }
    return shuffled;
  }

  private Shape shape(ClassPool pool) {
    return new Shape(pool.bucket(), !imagesOf(pool).isEmpty());
  }

  private List<Path> imagesOf(ClassPool pool) {
    return classImages.getOrDefault(pool, List.of());
  }

  /**
   * The class image of each picture. All epochs' draws from a pool form one sequence; its n-th pass
   * over the pool's images is the n-th permutation of them.
   */
  private @Nullable Path[] chooseClassImages(int epoch) {
    @Nullable Path[] chosen = new Path[pictures.size()];
    members.forEach(
        (pool, rows) -> {
          List<Path> images = imagesOf(pool);
          long pass = -1;
          int[] order = {};
          for (int j = 0; j < rows.size() && !images.isEmpty(); j++) {
            long draw = (long) epoch * rows.size() + j;
            if (draw / images.size() != pass) {
              pass = draw / images.size();
              order =
                  CounterRandom.at(seed, "class images", pass, rows.get(0))
                      .permutation(images.size());
            }
            chosen[rows.get(j)] = images.get(order[(int) (draw % images.size())]);
          }
        });
    return chosen;
  }
}
