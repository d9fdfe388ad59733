package dreambooth4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dreambooth4j.Problem;
import dreambooth4j.config.BucketConfig.Remainder;
import dreambooth4j.config.Crop;
import dreambooth4j.data.PairSampler.Batch;
import dreambooth4j.data.PairSampler.Pair;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PairSamplerTest {
  private static final List<Bucket> SIZES =
      List.of(new Bucket(64, 64), new Bucket(72, 48), new Bucket(48, 72));

  /** Pictures of two concepts, three sizes and a few captions, some of them shared. */
  private static List<Picture> pictures(int count) {
    return IntStream.range(0, count)
        .mapToObj(
            i ->
                new Picture(
                    Path.of("instance" + i),
                    i % 2,
                    SIZES.get(i * i % 3),
                    "sks " + i,
                    "man " + i % 5))
        .toList();
  }

  /** n class images for each picture of a pool. */
  private static Map<ClassPool, List<ClassImage>> pools(List<Picture> pictures, int n) {
    Map<ClassPool, List<ClassImage>> pools = new HashMap<>();
    for (Picture picture : pictures) {
      List<ClassImage> pool = pools.computeIfAbsent(picture.pool(), p -> new ArrayList<>());
      for (int i = 0; i < n; i++) {
        pool.add(image(picture.pool() + "/" + pool.size()));
      }
    }
    return pools;
  }

  private static ClassImage image(String file) {
    return new ClassImage(Path.of(file), "man", 1);
  }

  private static List<Pair> pairs(List<Batch> batches) {
    return batches.stream().map(Batch::pairs).flatMap(Collection::stream).toList();
  }

  @ParameterizedTest
  @CsvSource({"1, 1", "3, 2", "7, 4", "2, 100"})
  void shouldShowEveryInstanceOnceWithAClassImageOfItsOwnForAThousandEpochs(int n, int batchSize) {
    List<Picture> pictures = pictures(23);
    Map<ClassPool, List<ClassImage>> pools = pools(pictures, n);
    PairSampler sampler = new PairSampler(pictures, pools, batchSize, 7);
    Map<ClassPool, Map<ClassImage, Integer>> uses = new HashMap<>();
    for (int epoch = 0; epoch < 1000; epoch++) {
      List<Batch> batches = sampler.epoch(epoch);
      assertThat(batches).hasSize(sampler.batchesPerEpoch());
      Set<Picture> seen = new HashSet<>();
      for (Batch batch : batches) {
        assertThat(batch.pairs()).hasSizeBetween(1, batchSize);
        for (Pair pair : batch.pairs()) {
          assertThat(seen.add(pair.instance())).isTrue();
          assertThat(pair.instance().bucket()).isEqualTo(batch.bucket());
          ClassImage image = pair.prior();
          assertThat(image).isNotNull().isIn(pools.get(pair.instance().pool()));
          uses.computeIfAbsent(pair.instance().pool(), p -> new HashMap<>())
              .merge(image, 1, Integer::sum);
        }
      }
      assertThat(seen).hasSize(pictures.size());
      // All are used before one repeats: no image is ever more than one use ahead of another.
      boolean often = epoch < 20;
      for (ClassPool pool : often ? pools.keySet() : Set.<ClassPool>of()) {
        Map<ClassImage, Integer> counts = uses.getOrDefault(pool, Map.of());
        int most = counts.values().stream().mapToInt(c -> c).max().orElse(0);
        int least =
            pools.getOrDefault(pool, List.of()).stream()
                .mapToInt(path -> counts.getOrDefault(path, 0))
                .min()
                .orElse(0);
        assertThat(most - least).isLessThanOrEqualTo(1);
      }
    }
    // A thousand epochs are a whole number of passes where n divides them.
    if (1000 % n == 0) {
      uses.values().forEach(counts -> assertThat(counts.values()).containsOnly(1000 / n));
    }
  }

  @Test
  void shouldComputeAnyEpochWithoutThoseBeforeIt() {
    List<Picture> pictures = pictures(11);
    Map<ClassPool, List<ClassImage>> pools = pools(pictures, 3);
    PairSampler first = new PairSampler(pictures, pools, 2, 7);
    for (int epoch = 0; epoch < 40; epoch++) {
      first.epoch(epoch);
    }
    PairSampler resumed = new PairSampler(pictures, pools, 2, 7);
    assertThat(resumed.epoch(40)).isEqualTo(first.epoch(40));
    assertThat(resumed.epoch(41)).isNotEqualTo(first.epoch(40));
    assertThat(new PairSampler(pictures, pools, 2, 8).epoch(40)).isNotEqualTo(first.epoch(40));
  }

  @Test
  void shouldShowTheSameClassImagesWhateverTheBatchSize() {
    List<Picture> pictures = pictures(11);
    Map<ClassPool, List<ClassImage>> pools = pools(pictures, 3);
    Set<Pair> one = new HashSet<>(pairs(new PairSampler(pictures, pools, 1, 7).epoch(5)));
    Set<Pair> four = new HashSet<>(pairs(new PairSampler(pictures, pools, 4, 7).epoch(5)));
    assertThat(four).isEqualTo(one);
  }

  @Test
  void shouldKeepPicturesWithoutClassImagesInBatchesOfTheirOwn() {
    List<Picture> pictures = pictures(12);
    Map<ClassPool, List<ClassImage>> pools = pools(pictures, 1);
    pools.keySet().removeIf(pool -> pool.concept() == 1);
    PairSampler sampler = new PairSampler(pictures, pools, 4, 7);
    List<Batch> batches = sampler.epoch(0);
    assertThat(batches).hasSize(sampler.batchesPerEpoch());
    assertThat(pairs(batches)).hasSize(12);
    for (Batch batch : batches) {
      for (Pair pair : batch.pairs()) {
        assertThat(pair.classImage() != null).isEqualTo(batch.hasClassImages());
        assertThat(pair.instance().concept() == 0).isEqualTo(batch.hasClassImages());
      }
    }
  }

  @Test
  void shouldUseTheOnlyClassImagesThereAreAgain() {
    List<Picture> pictures = pictures(10);
    ClassPool pool = pictures.get(0).pool();
    PairSampler sampler =
        new PairSampler(
            List.of(pictures.get(0), pictures.get(0), pictures.get(0)),
            Map.of(pool, List.of(image("a"), image("b"))),
            8,
            1);
    assertThat(pairs(sampler.epoch(0)))
        .hasSize(3)
        .extracting(Pair::classImage)
        .doesNotContainNull();
    assertThat(new PairSampler(List.of(), Map.of(), 1, 1).epoch(0)).isEmpty();
  }

  @Test
  void shouldShowAPictureAsOftenAsItRepeatsAndAClassImageAsOftenInAPass() {
    Bucket bucket = SIZES.get(0);
    List<Picture.Wording> wordings = List.of(new Picture.Wording("sks", "man"));
    List<Picture> pictures =
        List.of(
            new Picture(Path.of("a"), 0, bucket, Crop.CENTER, 3, wordings),
            new Picture(Path.of("b"), 0, bucket, Crop.CENTER, 1, wordings));
    ClassImage often = new ClassImage(Path.of("often"), "man", 3);
    ClassPool pool = pictures.get(0).pool();
    Map<ClassPool, List<ClassImage>> images = Map.of(pool, List.of(often, image("once")));
    PairSampler sampler = new PairSampler(pictures, images, 3, 7);
    assertThat(sampler.batchesPerEpoch()).isEqualTo(2);
    for (int epoch = 0; epoch < 100; epoch++) {
      List<Pair> pairs = pairs(sampler.epoch(epoch));
      assertThat(pairs.stream().filter(p -> p.instance().repeats() == 3)).hasSize(3);
      assertThat(pairs.stream().filter(p -> often.equals(p.prior()))).hasSize(3);
      assertThat(pairs).hasSize(4);
    }
  }

  /** Of several wordings each comes as often as the others, with a class image of its own pool. */
  @ParameterizedTest
  @CsvSource({"1, 1", "2, 3", "3, 2"})
  void shouldTakeEveryWordingInTurn(int n, int batchSize) {
    List<Picture> pictures = new ArrayList<>();
    for (int i = 0; i < 7; i++) {
      List<Picture.Wording> wordings = new ArrayList<>();
      for (int w = 0; w <= i % 3; w++) {
        wordings.add(new Picture.Wording("sks " + w, "man " + w));
      }
      pictures.add(new Picture(Path.of("p" + i), 0, SIZES.get(i % 2), Crop.CENTER, 1, wordings));
    }
    List<Picture> variants = pictures.stream().flatMap(p -> p.variants().stream()).toList();
    Map<ClassPool, List<ClassImage>> pools = pools(variants, n);
    PairSampler sampler = new PairSampler(pictures, pools, batchSize, 7);
    Map<Picture, Integer> shown = new HashMap<>();
    Map<ClassPool, Map<ClassImage, Integer>> uses = new HashMap<>();
    for (int epoch = 0; epoch < 60; epoch++) {
      List<Pair> pairs = pairs(sampler.epoch(epoch));
      assertThat(pairs).extracting(p -> p.instance().file()).doesNotHaveDuplicates().hasSize(7);
      for (Pair pair : pairs) {
        shown.merge(pair.instance(), 1, Integer::sum);
        Map<ClassImage, Integer> counts =
            uses.computeIfAbsent(pair.instance().pool(), p -> new HashMap<>());
        assertThat(pair.prior()).isNotNull().isIn(pools.get(pair.instance().pool()));
        counts.merge(pair.prior(), 1, Integer::sum);
      }
      // All of a pool are used before one repeats, whichever epochs draw from it.
      uses.forEach(
          (pool, counts) -> {
            int most = counts.values().stream().mapToInt(c -> c).max().orElse(0);
            int used = counts.values().stream().mapToInt(c -> c).sum();
            int all = pools.getOrDefault(pool, List.of()).size();
            assertThat(most).isEqualTo((used + all - 1) / all);
          });
    }
    variants.forEach(
        variant -> {
          int of = (int) variants.stream().filter(v -> v.file().equals(variant.file())).count();
          assertThat(shown).containsEntry(variant, 60 / of);
        });
    PairSampler resumed = new PairSampler(pictures, pools, batchSize, 7);
    assertThat(resumed.epoch(41)).isEqualTo(sampler.epoch(41));
  }

  @Test
  void shouldDropOrFillShortBatchesIfItIsTold() {
    List<Picture> pictures = pictures(23);
    Map<ClassPool, List<ClassImage>> pools = pools(pictures, 2);
    PairSampler drop = new PairSampler(pictures, pools, 4, Remainder.DROP, 7);
    PairSampler fill = new PairSampler(pictures, pools, 4, Remainder.FILL, 7);
    Set<Picture> ever = new HashSet<>();
    for (int epoch = 0; epoch < 100; epoch++) {
      assertThat(drop.epoch(epoch)).hasSize(drop.batchesPerEpoch());
      assertThat(drop.epoch(epoch)).allMatch(batch -> batch.pairs().size() == 4);
      List<Pair> some = pairs(drop.epoch(epoch));
      assertThat(some).extracting(Pair::instance).doesNotHaveDuplicates();
      some.forEach(pair -> ever.add(pair.instance()));
      assertThat(fill.epoch(epoch)).hasSize(fill.batchesPerEpoch());
      assertThat(fill.epoch(epoch)).allMatch(batch -> batch.pairs().size() == 4);
      assertThat(pairs(fill.epoch(epoch))).extracting(Pair::instance).containsAll(pictures);
      for (Pair pair : pairs(fill.epoch(epoch))) {
        assertThat(pair.prior()).isIn(pools.get(pair.instance().pool()));
      }
    }
    assertThat(ever).containsAll(pictures);
    assertThatExceptionOfType(Problem.class)
        .isThrownBy(() -> new PairSampler(pictures, pools, 99, Remainder.DROP, 7))
        .withMessageContaining("train_batch_size");
    assertThat(pairs(new PairSampler(pictures.subList(0, 1), pools, 5, Remainder.FILL, 7).epoch(0)))
        .hasSize(5);
  }

  @Test
  void shouldDrainConceptsAndSizesEvenly() {
    List<Picture> pictures = new ArrayList<>();
    for (int i = 0; i < 240; i++) {
      int concept = i % 12 == 0 ? 1 : 0;
      pictures.add(
          new Picture(Path.of("p" + i), concept, SIZES.get(i % 5 == 0 ? 1 : 0), "sks", "man"));
    }
    PairSampler sampler = new PairSampler(pictures, Map.of(), 3, 7);
    for (int epoch = 0; epoch < 20; epoch++) {
      List<Pair> pairs = pairs(sampler.epoch(epoch));
      double second = 0;
      double wide = 0;
      for (int i = 0; i < pairs.size(); i++) {
        second += pairs.get(i).instance().concept();
        wide += pairs.get(i).instance().bucket().equals(SIZES.get(1)) ? 1 : 0;
        double done = (i + 1) / 240.0;
        assertThat(second / 20).isBetween(done - 0.15, done + 0.15);
        // Which of a concept's pictures come first is chance, and so the sizes' shares nearly so.
        assertThat(wide / 48).isBetween(done - 0.25, done + 0.25);
      }
    }
  }

  @Test
  void shouldNotAlwaysEndWithTheShortBatch() {
    List<Picture> pictures =
        pictures(40).stream().filter(p -> p.bucket().equals(SIZES.get(0))).limit(5).toList();
    PairSampler sampler = new PairSampler(pictures, Map.of(), 2, 3);
    Set<Integer> places = new HashSet<>();
    for (int epoch = 0; epoch < 50; epoch++) {
      List<Batch> batches = sampler.epoch(epoch);
      places.add(IntStream.range(0, 3).filter(i -> batches.get(i).pairs().size() == 1).sum());
    }
    assertThat(places).containsExactlyInAnyOrder(0, 1, 2);
  }
}
