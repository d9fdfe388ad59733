package dreambooth4j.report;

import dreambooth4j.Problem;
import dreambooth4j.config.ConceptConfig;
import dreambooth4j.data.Caption;
import dreambooth4j.data.Concept;
import dreambooth4j.data.CropBox;
import dreambooth4j.data.Parallel;
import dreambooth4j.data.Picture;
import dreambooth4j.data.Thumbnail;
import dreambooth4j.model.TokenCount;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * What is to be known of a run's pictures and captions before it starts. Every instance picture is
 * decoded, so that damage is found now; a thumbnail of each stays in memory.
 *
 * @param refused pictures that cannot be trained: damaged ones, and those of the scan
 * @param findings what to warn of, the gravest first
 */
public record DataReport(
    DataScan scan, List<PictureLook> looks, List<Concept.Refused> refused, List<Finding> findings) {
  /** Sides of thumbnails in pixels: large, and smaller from so many pictures on. */
  private static final int[][] SIDES = {{0, 320}, {300, 240}, {1000, 160}};

  /** Enough to see whether two are alike. */
  private static final int SMALLEST_SIDE = 32;

  /** Pictures a task: decoding is long work. */
  private static final int AT_ONCE = 4;

  /** One of the two. */
  private record Looked(@Nullable PictureLook look, Concept.@Nullable Refused refused) {}

  /**
   * Looks at every picture.
   *
   * @param tokens counts the tokens of a prompt; null where no tokenizer is at hand
   * @param forPage whether thumbnails are wanted that can be shown
   * @param progress told how many pictures are done, by several threads in turn
   */
  public static DataReport of(
      DataScan scan,
      @Nullable Function<String, TokenCount> tokens,
      boolean forPage,
      IntConsumer progress) {
    List<Picture> pictures = scan.pictures();
    int side = forPage ? side(pictures.size()) : SMALLEST_SIDE;
    AtomicInteger done = new AtomicInteger();
    List<Looked> all =
        Parallel.map(
            pictures,
            AT_ONCE,
            picture -> {
              Looked looked = look(scan, picture, side);
              synchronized (done) {
                progress.accept(done.incrementAndGet());
              }
              return looked;
            });
    List<PictureLook> looks = new ArrayList<>();
    List<Concept.Refused> refused = new ArrayList<>(scan.refused());
    for (Looked each : all) {
      if (each.look != null) {
        looks.add(tokens == null ? each.look : each.look.counted(tokens));
      } else if (each.refused != null) {
        refused.add(each.refused);
      }
    }
    return new DataReport(scan, looks, refused, DataFindings.of(looks, refused));
  }

  private static int side(int pictures) {
    int side = 0;
    for (int[] each : SIDES) {
      side = pictures >= each[0] ? each[1] : side;
    }
    return side;
  }

  private static Looked look(DataScan scan, Picture picture, int side) {
    ConceptConfig concept = scan.config().concepts().get(picture.concept());
    Path file = picture.file();
    try {
      Thumbnail thumbnail = Thumbnail.of(file, side);
      CropBox box = CropBox.of(thumbnail.source(), picture.bucket(), picture.crop());
      Caption caption =
          Caption.of(concept.instanceDataDir(), file, scan.config().data().captions());
      return new Looked(PictureLook.of(picture, concept, caption.texts(), box, thumbnail), null);
    } catch (Problem e) {
      return new Looked(null, new Concept.Refused(picture.concept(), file, e));
    }
  }
}
