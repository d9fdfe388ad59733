package dreambooth4j.prior;

import dreambooth4j.Problem;
import dreambooth4j.config.CaptionConfig;
import dreambooth4j.config.ConceptConfig;
import dreambooth4j.config.Config;
import dreambooth4j.data.AspectBuckets;
import dreambooth4j.data.Bucket;
import dreambooth4j.data.Buckets;
import dreambooth4j.data.Caption;
import dreambooth4j.data.ClassImage;
import dreambooth4j.data.ClassPool;
import dreambooth4j.data.Concept;
import dreambooth4j.data.ImageReader;
import dreambooth4j.data.ImageSize;
import dreambooth4j.data.Parallel;
import dreambooth4j.data.Picture;
import dreambooth4j.data.PictureFolder;
import dreambooth4j.data.Prompts;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The pictures of a concept's class folder, each in its pool. Where class images are matched, a
 * picture's caption is taken verbatim, and it must be a class caption of an instance picture of its
 * size; a picture without a caption serves a class prompt that is fixed. Where they are not, the
 * folder is used whole: each picture has the class caption of its own caption, at the size of the
 * concept's that fits it best.
 */
final class ClassFolder {
  /** What becomes of one file; without a pool it is left out for the reason. */
  private record Sorted(
      @Nullable ClassPool pool, ClassImage image, String reason, @Nullable Problem problem) {
    static Sorted leftOut(Path file, String reason) {
      return new Sorted(null, new ClassImage(file, "", 1), reason, null);
    }

    static Sorted refused(Path file, Problem why) {
      return new Sorted(null, new ClassImage(file, "", 1), "", why);
    }
  }

  private final Concept concept;
  private final ConceptConfig config;
  private final CaptionConfig captions;
  private final boolean unmatched;
  private final Prompts prompts;
  private final Buckets buckets;
  private final Set<ClassPool> wanted;

  private ClassFolder(Config run, Concept concept) {
    this.captions = run.data().captions();
    this.concept = concept;
    this.config = concept.config();
    this.unmatched = config.classImages().unmatched();
    this.prompts = Prompts.of(config);
    this.wanted =
        concept.pictures().stream()
            .flatMap(picture -> picture.variants().stream())
            .map(Picture::pool)
            .collect(Collectors.toUnmodifiableSet());
    Set<Bucket> own = wanted.stream().map(ClassPool::bucket).collect(Collectors.toSet());
    this.buckets = unmatched ? new AspectBuckets(own) : Buckets.of(run.data());
  }

  /**
   * Looks through a concept's class folder; of each picture only the header is read.
   *
   * @param folders lists them as {@code run} has it
   * @param skipped where the files that count for nothing are counted, by reason
   * @param refusals takes what cannot be read
   */
  static Map<ClassPool, List<ClassImage>> sort(
      Config run,
      PictureFolder.Lister folders,
      Concept concept,
      Map<String, Integer> skipped,
      Consumer<Concept.Refused> refusals) {
    Map<ClassPool, List<ClassImage>> pools = new LinkedHashMap<>();
    Path dir = concept.config().classImages().dataDir();
    if (!concept.config().classImages().unmatched() && !Files.exists(dir)) {
      return pools;
    }
    PictureFolder folder = folders.list(dir);
    folder.skipped().forEach((reason, count) -> skipped.merge(reason, count, Integer::sum));
    ClassFolder sorter = new ClassFolder(run, concept);
    for (Sorted each : Parallel.map(folder.pictures(), sorter::tried)) {
      if (each.problem != null) {
        refusals.accept(new Concept.Refused(concept.index(), each.image.file(), each.problem));
      } else if (each.pool == null) {
        skipped.merge(each.reason, 1, Integer::sum);
      } else {
        pools.computeIfAbsent(each.pool, pool -> new ArrayList<>()).add(each.image);
      }
    }
    return pools;
  }

  private Sorted tried(Path file) {
    try {
      return sorted(file);
    } catch (Problem e) {
      return Sorted.refused(file, e);
    }
  }

  private Sorted sorted(Path file) {
    Caption found = Caption.of(config.classImages().dataDir(), file, captions);
    String prompt = prompt(found);
    if (prompt.isEmpty()) {
      return Sorted.leftOut(file, "no caption file");
    }
    ImageSize size = ImageReader.size(file);
    Bucket bucket = buckets.of(size.width(), size.height());
    if (!unmatched && (size.width() < bucket.width() || size.height() < bucket.height())) {
      return Sorted.leftOut(file, "smaller than its bucket");
    }
    ClassPool pool = new ClassPool(concept.index(), bucket, unmatched ? "" : prompt);
    return wanted.contains(pool)
        ? new Sorted(pool, new ClassImage(file, prompt, found.repeats()), "", null)
        : Sorted.leftOut(file, "caption and size of no instance picture");
  }

  private String prompt(Caption found) {
    boolean fixed = !config.classTemplate().contains(Prompts.FILEWORDS);
    if (unmatched) {
      return prompts.classCaption(found.written() ? found.text() : "");
    }
    if (found.written()) {
      // The extension leaves empty tags in its captions, we do not.
      return Prompts.dropEmptyTags(found.text());
    }
    return fixed ? concept.pictures().get(0).classCaption() : "";
  }
}
