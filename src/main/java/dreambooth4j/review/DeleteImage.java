package dreambooth4j.review;

import dreambooth4j.data.ClassPool;
import dreambooth4j.prior.DeletedImages;
import dreambooth4j.review.ReviewRow.Making;
import dreambooth4j.review.ReviewRow.Place;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * Deletes a class image: it moves to a folder where it counts for nothing. Undone, it takes its
 * place back from an image that was made for that place meanwhile.
 */
final class DeleteImage implements ReviewAction {
  /** Said of an image that somebody else took away. */
  static final String GONE = "this class image was deleted before";

  private final ReviewRows rows;
  private final ReviewRow row;
  private final Path file;
  private final int at;
  private final Place place;
  private final DeletedImages deleted;
  private boolean changed;
  private boolean leftEmpty;
  private @Nullable Path filledBy;

  /** Of a row that has the image. */
  DeleteImage(ReviewRows rows, ReviewRow row, Path file) {
    this.rows = rows;
    this.row = row;
    this.file = file;
    this.at = row.indexOf(file);
    this.place = row.places().get(at);
    this.deleted = DeletedImages.of(row.concept());
  }

  @Override
  public Done apply() {
    changed = deleted.delete(file);
    leftEmpty = rows.take(row, at);
    return new Done(changed ? "deleted" : GONE, row.id());
  }

  @Override
  public boolean changed() {
    return changed;
  }

  /**
   * Is told of an image that was made for an empty place of a pool.
   *
   * @return whether it is the place that this deletion left
   */
  boolean filled(ClassPool pool, Path image) {
    if (!leftEmpty || filledBy != null || !row.picture().pool().equals(pool)) {
      return false;
    }
    filledBy = image;
    return true;
  }

  @Override
  public Done undo() {
    deleted.restore(file);
    ReviewRow filled = filledBy == null ? null : rows.rowOf(filledBy);
    ReviewRow now = rows.row(row.id());
    if (filled != null && filledBy != null) {
      deleted.delete(filledBy);
      rows.put(filled.with(filled.indexOf(filledBy), place.with(Making.NOT)));
    } else if (now != null) {
      boolean free = at < now.places().size() && now.places().get(at).image() == null;
      rows.put(now.with(free ? at : now.firstEmpty(Making.NOT), place.with(Making.NOT)));
    }
    return new Done("the deleted class image is restored", row.id());
  }
}
