package dreambooth4j.web;

import dreambooth4j.config.Config;
import dreambooth4j.data.Concept;
import dreambooth4j.data.Thumbnail;
import dreambooth4j.prior.ClassImagePlan;
import dreambooth4j.review.Review;
import dreambooth4j.weights.StagedFiles;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.stream.Collectors;
import java.util.stream.StreamSupport;

/**
 * The page of a review as a file, to be opened from the disk: the same rows, and nothing to be done
 * on them. It links to the pictures where they lie; a browser loads those that are in sight.
 */
public final class ReviewFile {
  private static final int MOST_ROWS = 5000;
  private static final int SMALL = 320;

  private ReviewFile() {}

  /**
   * Writes it, whole or not at all.
   *
   * @throws dreambooth4j.Problem if it cannot be written, or a picture cannot be read
   */
  public static void write(Path file, Config config, List<Concept> concepts, ClassImagePlan plan) {
    Path folder = Objects.requireNonNull(file.toAbsolutePath().getParent());
    Review review = new Review(config, concepts, plan);
    ReviewPage page =
        new ReviewPage(false, concepts.size() > 1, picture -> source(folder, picture));
    Review.Changes now = review.changes(Long.MAX_VALUE);
    String html = page.page(now, page.rows(review.rows(0, MOST_ROWS)), words(now.summary()));
    StagedFiles.write(file, html.getBytes(StandardCharsets.UTF_8));
  }

  private static String words(Review.Summary summary) {
    StringBuilder words = new StringBuilder();
    words.append("%d pictures, %d class images".formatted(summary.rows(), summary.images()));
    if (summary.missing() > 0) {
      words.append(", %d missing".formatted(summary.missing()));
    }
    words.append(": what this run trains with");
    if (summary.rows() > MOST_ROWS) {
      words.append(" (the first %d pictures are shown)".formatted(MOST_ROWS));
    }
    return words + ". To change them: dreambooth class-images CONFIG --review";
  }

  private static ReviewPage.Source source(Path folder, Path picture) {
    String link = shownByBrowsers(picture) ? link(folder, picture) : embedded(picture);
    return new ReviewPage.Source(link, link, "");
  }

  private static boolean shownByBrowsers(Path picture) {
    return !picture.toString().toLowerCase(Locale.ROOT).matches(".*\\.tiff?");
  }

  private static String embedded(Path picture) {
    Thumbnail thumbnail = Thumbnail.of(picture, SMALL);
    return "data:%s;base64,%s"
        .formatted(thumbnail.mediaType(), Base64.getEncoder().encodeToString(thumbnail.file()));
  }

  /**
   * A relative link where there is one, so that a folder and its class images may move together.
   */
  private static String link(Path folder, Path picture) {
    Path to = picture.toAbsolutePath();
    if (!Objects.equals(folder.getRoot(), to.getRoot())) {
      return to.toUri().toString();
    }
    String names =
        StreamSupport.stream(folder.relativize(to).spliterator(), false)
            .map(name -> URLEncoder.encode(name.toString(), StandardCharsets.UTF_8))
            .map(name -> name.replace("+", "%20"))
            .collect(Collectors.joining("/"));
    return "./" + names;
  }
}
