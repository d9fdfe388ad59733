package dreambooth4j.review;

import dreambooth4j.Problem;
import dreambooth4j.config.ConceptConfig;
import dreambooth4j.config.Config;
import dreambooth4j.data.Caption;
import dreambooth4j.data.ClassImage;
import dreambooth4j.data.ClassPool;
import dreambooth4j.data.Concept;
import dreambooth4j.data.Picture;
import dreambooth4j.prior.ClassImagePlan;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The rows of a review and when each last changed. Rows and pictures are named by numbers that are
 * never given twice, so that a page can speak of them without their paths. For one thread at a
 * time.
 */
final class ReviewRows {
  private final Config config;
  private final Map<String, String> idOf = new HashMap<>();
  private final Map<String, Path> pictures = new HashMap<>();
  private final Map<Path, KeptImages> kept = new HashMap<>();
  private Map<String, ReviewRow> rows = new LinkedHashMap<>();
  private Map<ClassPool, Integer> needed = Map.of();
  private final Map<String, Long> changes = new HashMap<>();
  private long version;
  private long order;

  ReviewRows(Config config) {
    this.config = config;
  }

  /** Looks through all folders again. */
  void scan() {
    kept.clear(); // so that the marks are read again
    List<Concept> concepts = Concept.scanAll(config);
    show(concepts, ClassImagePlan.of(config, concepts));
  }

  /** Takes what was found on disk. */
  void show(List<Concept> concepts, ClassImagePlan plan) {
    Map<ClassPool, ClassImagePlan.Need> needs = new HashMap<>();
    plan.needs().forEach(need -> needs.put(need.pool(), need));
    Map<ClassPool, Integer> sharing = new HashMap<>();
    for (Concept concept : concepts) {
      for (Picture picture : concept.pictures()) {
        picture.variants().forEach(variant -> sharing.merge(variant.pool(), 1, Integer::sum));
      }
    }
    Map<ClassPool, Integer> shared = new HashMap<>();
    Map<String, ReviewRow> found = new LinkedHashMap<>();
    for (Concept concept : concepts) {
      for (Picture picture : concept.pictures()) {
        String caption =
            Caption.source(
                concept.config().instanceDataDir(), picture.file(), config.data().captions());
        List<Picture> variants = picture.variants();
        for (int i = 0; i < variants.size(); i++) {
          ClassPool pool = variants.get(i).pool();
          String id = id("row", i + " " + picture.file());
          int share = shared.merge(pool, 1, Integer::sum) - 1;
          int of = sharing.getOrDefault(pool, 1);
          found.put(
              id,
              new ReviewRow(
                  id,
                  concept.config(),
                  variants.get(i),
                  caption,
                  of,
                  places(concept.config(), needs.get(pool), share, of)));
        }
      }
    }
    if (!List.copyOf(found.keySet()).equals(List.copyOf(rows.keySet()))) {
      order = ++version;
    }
    found.values().stream()
        .filter(row -> !row.equals(rows.get(row.id())))
        .forEach(row -> changes.put(row.id(), ++version));
    rows = found;
    needed = new HashMap<>();
    plan.needs().forEach(need -> needed.put(need.pool(), need.needed()));
  }

  /** The places of one of several pictures that share a pool. */
  private List<ReviewRow.Place> places(
      ConceptConfig concept, ClassImagePlan.@Nullable Need need, int share, int of) {
    if (need == null) {
      return List.of();
    }
    long all = Math.max(need.needed(), need.present().size());
    List<ReviewRow.Place> places = new ArrayList<>();
    for (int i = (int) (all * share / of); i < (int) (all * (share + 1) / of); i++) {
      places.add(
          i < need.present().size()
              ? place(concept, need.present().get(i))
              : ReviewRow.Place.EMPTY);
    }
    return List.copyOf(places);
  }

  /** An image with its mark. */
  ReviewRow.Place place(ConceptConfig concept, ClassImage image) {
    return new ReviewRow.Place(image, kept(concept).has(image.file()), ReviewRow.Making.NOT);
  }

  /** The marks of a concept's class images. */
  KeptImages kept(ConceptConfig concept) {
    return kept.computeIfAbsent(concept.classImages().dataDir(), KeptImages::of);
  }

  /** Puts a row in the place of the one before. */
  void put(ReviewRow row) {
    if (!row.equals(rows.put(row.id(), row))) {
      changes.put(row.id(), ++version);
    }
  }

  /** All of them, in the order of the pictures. */
  Collection<ReviewRow> all() {
    return Collections.unmodifiableCollection(rows.values());
  }

  /** One by its name; null if there is none. */
  @Nullable ReviewRow row(String id) {
    return rows.get(id);
  }

  /**
   * One by its name.
   *
   * @throws Problem if there is none
   */
  ReviewRow required(String id) {
    ReviewRow row = rows.get(id);
    if (row == null) {
      throw Problem.data("there is no such picture any more: load the page again");
    }
    return row;
  }

  /**
   * Takes an image out of its row; its place stays, empty, if the pool lacks one now.
   *
   * @return whether it stays
   */
  boolean take(ReviewRow row, int at) {
    ClassPool pool = row.picture().pool();
    ReviewRow.Making making = row.places().get(at).making();
    boolean missed = present(pool).size() <= needed(pool) || making != ReviewRow.Making.NOT;
    put(missed ? row.with(at, ReviewRow.Place.EMPTY.with(making)) : row.without(at));
    return missed;
  }

  /** The row that shows a class image; null if none does. */
  @Nullable ReviewRow rowOf(Path image) {
    return rows.values().stream().filter(row -> row.indexOf(image) >= 0).findFirst().orElse(null);
  }

  /** The class images of a pool that are there. */
  List<ClassImage> present(ClassPool pool) {
    return rows.values().stream()
        .filter(row -> row.picture().pool().equals(pool))
        .flatMap(row -> row.places().stream())
        .map(ReviewRow.Place::image)
        .filter(Objects::nonNull)
        .toList();
  }

  /** How many class images a pool needs. */
  int needed(ClassPool pool) {
    return needed.getOrDefault(pool, 0);
  }

  /** Grows with each change. */
  long version() {
    return version;
  }

  /** The next version, of something that no row shows. */
  long nextVersion() {
    return ++version;
  }

  /** Since when there are these rows in this order. */
  long order() {
    return order;
  }

  /** Rows that changed after a version. */
  List<ReviewRow> changedAfter(long before) {
    return rows.values().stream()
        .filter(row -> changes.getOrDefault(row.id(), 0L) > before)
        .toList();
  }

  /** The name of a picture, the same each time. */
  String id(Path picture) {
    String id = id("picture", picture.toString());
    pictures.put(id, picture);
    return id;
  }

  /** The picture of that name; null if the name was never given. */
  @Nullable Path picture(String id) {
    return pictures.get(id);
  }

  private String id(String kind, String of) {
    return idOf.computeIfAbsent(kind + " " + of, key -> Integer.toString(idOf.size() + 1));
  }
}
