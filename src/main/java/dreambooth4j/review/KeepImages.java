package dreambooth4j.review;

import dreambooth4j.review.ReviewRow.Place;
import java.nio.file.Path;
import java.util.List;

/** Marks class images of a row as looked at and kept, or takes the marks away. */
final class KeepImages implements ReviewAction {
  private final ReviewRows rows;
  private final ReviewRow row;
  private final List<Path> changing;
  private final boolean keep;

  /** Of these files of the row, those that have the mark already stay as they are. */
  KeepImages(ReviewRows rows, ReviewRow row, List<Path> files, boolean keep) {
    this.rows = rows;
    this.row = row;
    this.keep = keep;
    KeptImages marks = rows.kept(row.concept());
    this.changing = files.stream().filter(file -> marks.has(file) != keep).toList();
  }

  @Override
  public Done apply() {
    mark(keep);
    return new Done(keep ? "marked as kept" : "no longer marked as kept", row.id());
  }

  @Override
  public boolean changed() {
    return !changing.isEmpty();
  }

  @Override
  public Done undo() {
    mark(!keep);
    return new Done(keep ? "no longer marked as kept" : "marked as kept again", row.id());
  }

  private void mark(boolean kept) {
    rows.kept(row.concept()).mark(changing, kept);
    ReviewRow now = rows.required(row.id());
    for (Path file : changing) {
      int at = now.indexOf(file);
      if (at >= 0) {
        Place place = now.places().get(at);
        now = now.with(at, new Place(place.image(), kept, place.making()));
      }
    }
    rows.put(now);
  }
}
