package dreambooth4j.web;

import com.samskivert.mustache.Mustache;
import com.samskivert.mustache.Template;
import dreambooth4j.data.ClassImage;
import dreambooth4j.page.Html;
import dreambooth4j.review.Review;
import dreambooth4j.review.ReviewRow;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** Class images beside their instance pictures as HTML; every text in it is escaped. */
final class ReviewPage {
  /** Below this size pixels are shown as squares, not blurred. */
  private static final int FEW_PIXELS = 128;

  /** Where a page finds a picture: small, large, and the name it knows it by. */
  record Source(String small, String large, String id) {}

  /** A class image in its place; {@code image} is null where it is missing. */
  record Tile(
      @Nullable Source image,
      @Nullable String prompt,
      boolean kept,
      boolean waits,
      boolean underWay,
      boolean makes) {
    boolean missing() {
      return image == null;
    }

    boolean idleMissing() {
      return missing() && !waits && !underWay;
    }
  }

  private static final Template PAGE = template("review.html");
  private static final Template ROW = template("row.html");

  private final boolean live;
  private final boolean severalConcepts;
  private final Function<Path, Source> sources;

  /**
   * A page.
   *
   * @param live whether something can be done on it
   * @param sources where it finds pictures
   */
  ReviewPage(boolean live, boolean severalConcepts, Function<Path, Source> sources) {
    this.live = live;
    this.severalConcepts = severalConcepts;
    this.sources = sources;
  }

  /** What a file of this room holds. */
  static String resource(String name) {
    return Html.resource(ReviewPage.class, name);
  }

  private static Template template(String name) {
    return Mustache.compiler().emptyStringIsFalse(true).zeroIsFalse(true).compile(resource(name));
  }

  /**
   * The page around some rows.
   *
   * @param made what the static page says of itself
   */
  String page(Review.Changes now, String rows, String made) {
    return PAGE.execute(
        Map.of(
            "live",
            live,
            "css",
            live ? "" : resource("review.css"),
            "version",
            now.version(),
            "summary",
            now.summary(),
            "rows",
            rows,
            "made",
            made,
            "longest",
            Review.LONGEST_CAPTION));
  }

  /** Rows one after the other. */
  String rows(List<ReviewRow> rows) {
    StringBuilder html = new StringBuilder();
    rows.forEach(row -> html.append(row(row)));
    return html.toString();
  }

  /** One row. */
  String row(ReviewRow row) {
    boolean unmatched = row.concept().classImages().unmatched();
    List<Tile> tiles = new ArrayList<>();
    for (ReviewRow.Place place : row.places()) {
      ClassImage image = place.image();
      tiles.add(
          new Tile(
              image == null ? null : sources.apply(image.file()),
              image == null || !unmatched ? null : image.prompt(),
              place.kept(),
              place.making() == ReviewRow.Making.WAITS,
              place.making() == ReviewRow.Making.UNDER_WAY,
              !unmatched));
    }
    int width = row.picture().bucket().width();
    int height = row.picture().bucket().height();
    Map<String, Object> values = new HashMap<>();
    values.put("live", live);
    values.put("id", row.id());
    values.put("file", String.valueOf(row.picture().file().getFileName()));
    values.put("concept", severalConcepts ? row.concept().name() : "");
    values.put("picture", sources.apply(row.picture().file()));
    values.put("bucket", row.picture().bucket().toString());
    values.put("width", width);
    values.put("height", height);
    values.put("fewPixels", Math.max(width, height) < FEW_PIXELS);
    values.put("caption", row.caption());
    values.put("instancePrompt", row.picture().instancePrompt());
    values.put("samePrompt", row.caption().equals(row.picture().instancePrompt()));
    values.put("classCaption", row.picture().classCaption());
    values.put("unmatched", unmatched);
    values.put("others", row.sharing() - 1);
    values.put("oneOther", row.sharing() == 2);
    values.put("tiles", tiles);
    values.put("noTiles", tiles.isEmpty());
    return ROW.execute(values);
  }
}
