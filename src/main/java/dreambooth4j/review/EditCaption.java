package dreambooth4j.review;

import dreambooth4j.Problem;
import dreambooth4j.config.CaptionConfig;
import dreambooth4j.data.Caption;
import dreambooth4j.data.ClassPool;
import java.nio.file.Path;

/** Writes an instance picture's caption into its text file. */
final class EditCaption implements ReviewAction {
  private final ReviewRows rows;
  private final ReviewRow row;
  private final String text;
  private final Runnable rescan;
  private final CaptionFile file;
  private final boolean changes;

  /**
   * A new caption.
   *
   * @param before what the page showed: if somebody changed it meanwhile, it is refused
   * @param rescan looks through all folders again
   * @throws Problem if the caption is none, or not the one that was shown
   */
  EditCaption(
      ReviewRows rows,
      ReviewRow row,
      CaptionConfig how,
      String before,
      String caption,
      Runnable rescan) {
    this.rows = rows;
    this.row = row;
    this.rescan = rescan;
    this.text = CaptionFile.checked(caption);
    Path picture = row.picture().file();
    if (!Caption.source(row.concept().instanceDataDir(), picture, how).equals(before)) {
      rescan.run();
      throw Problem.data(
          "somebody else has changed this caption in the meantime: check the new"
              + " text, then edit it");
    }
    this.changes = !text.equals(before);
    this.file = CaptionFile.of(Caption.place(picture, how));
  }

  @Override
  public Done apply() {
    if (!changes) {
      return new Done("the caption is unchanged", row.id());
    }
    file.write(text);
    try {
      rescan.run();
    } catch (Problem e) {
      file.restore();
      throw e;
    }
    return new Done("caption saved" + orphans(), row.id());
  }

  @Override
  public boolean changed() {
    return changes;
  }

  @Override
  public Done undo() {
    if (!file.holds(text)) {
      rescan.run();
      throw Problem.data(
          "somebody else has changed this caption in the meantime, so the change"
              + " cannot be undone");
    }
    file.restore();
    rescan.run();
    return new Done("the earlier caption is restored", row.id());
  }

  /** What is to be said of class images that no picture has a use for since its caption changed. */
  private String orphans() {
    ClassPool pool = row.picture().pool();
    int count = row.images().size();
    boolean used = rows.all().stream().anyMatch(each -> each.picture().pool().equals(pool));
    if (used || count == 0) {
      return "";
    }
    return count == 1
        ? "; the class image of '%s' no longer counts, but stays in the folder"
            .formatted(pool.caption())
        : "; the %d class images of '%s' no longer count, but stay in the folder"
            .formatted(count, pool.caption());
  }
}
