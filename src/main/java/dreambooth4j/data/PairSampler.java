package dreambooth4j.data;

import dreambooth4j.Problem;
import dreambooth4j.config.BucketConfig.Remainder;
import dreambooth4j.random.CounterRandom;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Says which pictures each batch of an epoch shows. In every epoch each instance picture comes once
 * (or as often as it repeats), with one class image of its own pool; a pool's images are all used
 * before one comes again, so that more class images change which are seen, never how many. Concepts
 * and sizes are drained evenly: at any point of an epoch the same part of each has been shown. An
 * epoch is a function of seed and number alone: a resumed run asks for its epoch without replaying
 * those before.
 */
public final class PairSampler {
  /**
   * An instance picture, with the wording of this epoch alone, and the class image beside it.
   *
   * @param prior null if its pool has no class images
   */
  public record Pair(Picture instance, @Nullable ClassImage prior) {
    /** The file of the class image. */
    public @Nullable Path classImage() {
      return prior == null ? null : prior.file();
    }

    /** The prompt that the class image is trained with; empty if there is none. */
    public String classPrompt() {
      return prior == null ? "" : prior.prompt();
    }
  }

  /** Pairs of one size; either all of them have a class image or none has. */
  public record Batch(Bucket bucket, List<Pair> pairs) {
    /** Whether the prior loss can be taken. */
    public boolean hasClassImages() {
      return pairs.get(0).classImage() != null;
    }
  }

  private record Shape(Bucket bucket, boolean hasClassImages) {}

  /** A place in the epoch: a picture as often as it repeats, in each of its wordings. */
  private record PictureRow(int number, List<Picture> variants) {}

  /** A row that may draw from a pool: it does so in the epochs in which it has this variant. */
  private record Member(PictureRow row, int variant) {}

  /** A row and how far through the epoch it comes, from 0 to 1. */
  private record Placed(PictureRow row, double place) {}

  private record PlacedBatch(Batch batch, double place) {}

  private final List<PictureRow> rows = new ArrayList<>();
  private final Map<Integer, List<PictureRow>> concepts = new LinkedHashMap<>();
  private final Map<ClassPool, List<ClassImage>> classImages = new LinkedHashMap<>();
  private final Map<ClassPool, List<Member>> members = new LinkedHashMap<>();
  private final int batchSize;
  private final Remainder remainder;
  private final long seed;

  /** A sampler that keeps short batches. */
  public PairSampler(
      List<Picture> pictures,
      Map<ClassPool, List<ClassImage>> classImages,
      int batchSize,
      long seed) {
    this(pictures, classImages, batchSize, Remainder.KEEP, seed);
  }

  /**
   * A sampler over these pictures.
   *
   * @param classImages the class images of each pool; a pool may be missing
   * @param batchSize pairs a batch, at most
   * @param remainder what becomes of the pictures of a size that do not fill a batch
   * @throws Problem if not one batch would be left
   */
  public PairSampler(
      List<Picture> pictures,
      Map<ClassPool, List<ClassImage>> classImages,
      int batchSize,
      Remainder remainder,
      long seed) {
    if (batchSize < 1) {
      throw new IllegalArgumentException("batch size " + batchSize);
    }
    this.batchSize = batchSize;
    this.remainder = remainder;
    this.seed = seed;
    classImages.forEach(
        (pool, images) -> {
          List<ClassImage> all = new ArrayList<>();
          images.forEach(image -> all.addAll(Collections.nCopies(image.repeats(), image)));
          this.classImages.put(pool, all);
        });
    for (Picture picture : pictures) {
      List<Picture> variants = picture.variants();
      for (int i = 0; i < picture.repeats(); i++) {
        add(new PictureRow(rows.size(), variants));
      }
    }
    if (!pictures.isEmpty() && batchesPerEpoch() == 0) {
      throw Problem.usage(
          "bucket_remainder: drop leaves no batch, no size has %d pictures: lower train_batch_size"
              .formatted(batchSize));
    }
  }

  private void add(PictureRow row) {
    rows.add(row);
    concepts.computeIfAbsent(row.variants.get(0).concept(), concept -> new ArrayList<>()).add(row);
    for (int i = 0; i < row.variants.size(); i++) {
      ClassPool pool = row.variants.get(i).pool();
      members.computeIfAbsent(pool, p -> new ArrayList<>()).add(new Member(row, i));
    }
  }

  /**
   * What it draws from, in short, to tell another data set by: how many there are and a digest of
   * names, sizes in bytes, masks, prompts, and how often each comes.
   */
  public Map<String, String> contents() {
    Digest instances = new Digest();
    for (PictureRow row : rows) {
      for (Picture each : row.variants) {
        instances.add(each.file(), each.bucket() + "\n" + each.instancePrompt());
        if (each.mask() != null) {
          instances.add(each.mask(), "mask");
        }
      }
    }
    Digest priors = new Digest();
    int count = 0;
    for (List<ClassImage> images : classImages.values()) {
      count += images.size();
      images.forEach(image -> priors.add(image.file(), image.prompt()));
    }
    return Map.of(
        "instance pictures", rows.size() + " " + instances.text(),
        "class images", count + " " + priors.text());
  }

  /** Batches an epoch; every epoch has as many. */
  public int batchesPerEpoch() {
    Map<Shape, Integer> counts = new HashMap<>();
    rows.forEach(row -> counts.merge(shape(row), 1, Integer::sum));
    return counts.values().stream().mapToInt(this::batches).sum();
  }

  private int batches(int pictures) {
    int whole = pictures / batchSize;
    return pictures % batchSize == 0 || remainder == Remainder.DROP ? whole : whole + 1;
  }

  /** The batches of an epoch, counted from 0. One of each size may be short. */
  public List<Batch> epoch(int epoch) {
    @Nullable ClassImage[] chosen = chooseClassImages(epoch);
    Map<Shape, List<Placed>> shapes = new LinkedHashMap<>();
    for (Placed placed : order(epoch)) {
      shapes.computeIfAbsent(shape(placed.row), s -> new ArrayList<>()).add(placed);
    }
    List<PlacedBatch> batches = new ArrayList<>();
    CounterRandom random = CounterRandom.at(seed, "batches", epoch, 0);
    shapes.forEach(
        (shape, all) -> {
          int count = batches(all.size());
          if (remainder == Remainder.FILL) {
            int missing = count * batchSize - all.size();
            for (int i = 0; i < missing; i++) {
              all.add(all.get(i));
            }
          }
          // Otherwise the short batch would always be the last that an epoch learns from.
          int shortOne = count == 0 ? 0 : random.uniformInt(count);
          int shortSize = Math.min(batchSize, all.size() - (count - 1) * batchSize);
          int from = 0;
          for (int i = 0; i < count; i++) {
            int to = from + (i == shortOne ? shortSize : batchSize);
            batches.add(batch(shape, all.subList(from, to), epoch, chosen));
            from = to;
          }
        });
    return batches.stream()
        .sorted(Comparator.comparingDouble(PlacedBatch::place))
        .map(PlacedBatch::batch)
        .toList();
  }

  /**
   * All rows in the order of an epoch. The j-th of n rows of a concept comes at a random place
   * between j / n and (j + 1) / n of the epoch: within a concept the order is any order, and no
   * concept runs ahead of another.
   */
  private List<Placed> order(int epoch) {
    List<Placed> order = new ArrayList<>(rows.size());
    concepts.forEach(
        (concept, itsRows) -> {
          CounterRandom random = CounterRandom.at(seed, "order", epoch, concept);
          int[] permutation = random.permutation(itsRows.size());
          for (int j = 0; j < permutation.length; j++) {
            double place = (j + random.uniform()) / permutation.length;
            order.add(new Placed(itsRows.get(permutation[j]), place));
          }
        });
    order.sort(Comparator.comparingDouble(Placed::place));
    return order;
  }

  private PlacedBatch batch(
      Shape shape, List<Placed> placed, int epoch, @Nullable ClassImage[] chosen) {
    List<Pair> pairs = new ArrayList<>();
    double place = 0;
    for (Placed each : placed) {
      PictureRow row = each.row;
      ClassImage prior = shape.hasClassImages ? chosen[row.number] : null;
      pairs.add(new Pair(row.variants.get(variant(row, epoch)), prior));
      place += each.place / placed.size();
    }
    return new PlacedBatch(new Batch(shape.bucket, List.copyOf(pairs)), place);
  }

  /** Which wording a row has in an epoch: all of them come before one comes again. */
  private int variant(PictureRow row, int epoch) {
    int count = row.variants.size();
    return count == 1 ? 0 : wordings(row, epoch / count)[epoch % count];
  }

  private int[] wordings(PictureRow row, int pass) {
    return CounterRandom.at(seed, "captions", pass, row.number).permutation(row.variants.size());
  }

  /** How often a row has had a wording before an epoch. */
  private long uses(Member member, int epoch) {
    int count = member.row.variants.size();
    long uses = epoch / count;
    if (count > 1) {
      int[] order = wordings(member.row, epoch / count);
      for (int i = 0; i < epoch % count; i++) {
        uses += order[i] == member.variant ? 1 : 0;
      }
    }
    return uses;
  }

  private Shape shape(PictureRow row) {
    // Not by this epoch's wording: every epoch has as many batches.
    boolean all = row.variants.stream().noneMatch(each -> imagesOf(each.pool()).isEmpty());
    return new Shape(row.variants.get(0).bucket(), all);
  }

  private List<ClassImage> imagesOf(ClassPool pool) {
    return classImages.getOrDefault(pool, List.of());
  }

  /**
   * The class image of each row. All epochs' draws from a pool form one sequence; its n-th pass
   * over the pool's images is the n-th permutation of them.
   */
  private @Nullable ClassImage[] chooseClassImages(int epoch) {
    @Nullable ClassImage[] chosen = new ClassImage[rows.size()];
    members.forEach(
        (pool, all) -> {
          List<ClassImage> images = imagesOf(pool);
          if (images.isEmpty()) {
            return;
          }
          long draw = all.stream().mapToLong(member -> uses(member, epoch)).sum();
          long pass = -1;
          int[] order = {};
          for (Member member : all) {
            if (variant(member.row, epoch) != member.variant) {
              continue;
            }
            if (draw / images.size() != pass) {
              pass = draw / images.size();
              order =
                  CounterRandom.at(seed, "class images", pass, all.get(0).row.number)
                      .permutation(images.size());
            }
            chosen[member.row.number] = images.get(order[(int) (draw % images.size())]);
            draw++;
          }
        });
    return chosen;
  }
}
