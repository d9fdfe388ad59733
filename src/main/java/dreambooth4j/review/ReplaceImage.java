package dreambooth4j.review;

import dreambooth4j.data.ClassImage;
import dreambooth4j.prior.DeletedImages;
import dreambooth4j.review.ReviewRow.Making;
import java.nio.file.Path;

/** Puts a class image that was made in the place of another one, which is deleted. */
final class ReplaceImage implements ReviewAction {
  private final ReviewRows rows;
  private final ReviewRow row;
  private final int at;
  private final Path old;
  private final ClassImage fresh;
  private final DeletedImages deleted;

  /** Of a row that has the old image. */
  ReplaceImage(ReviewRows rows, ReviewRow row, Path old, ClassImage fresh) {
    this.rows = rows;
    this.row = row;
    this.at = row.indexOf(old);
    this.old = old;
    this.fresh = fresh;
    this.deleted = DeletedImages.of(row.concept());
  }

  @Override
  public Done apply() {
    rows.put(row.with(at, rows.place(row.concept(), fresh)));
    deleted.delete(old);
    return new Done("a new class image has replaced the old one", row.id());
  }

  @Override
  public boolean changed() {
    return true;
  }

  @Override
  public Done undo() {
    deleted.restore(old);
    deleted.delete(fresh.file());
    ReviewRow now = rows.required(row.id());
    rows.put(now.with(now.indexOf(fresh.file()), row.places().get(at).with(Making.NOT)));
    return new Done("the previous class image is restored", row.id());
  }
}
