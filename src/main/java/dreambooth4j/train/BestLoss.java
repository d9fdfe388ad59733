package dreambooth4j.train;

import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * The least loss on held-out pictures so far, and that of the best model that lies on the disk,
 * which is another where one could not be saved. A checkpoint keeps them, so that a run that goes
 * on knows how long it has waited for a better one and what it has measured.
 */
final class BestLoss {
  private static final int PARTS = 6;

  /** Of checkpoints that do not say what was measured. */
  private static final int PARTS_WITHOUT_SUBJECT = 5;

  private double best = Double.POSITIVE_INFINITY;
  private int step;
  private int since;
  private int measured;
  private double saved = Double.POSITIVE_INFINITY;

  /** What is measured, in short: losses of another are not compared with these. */
  private String subject = "";

  /**
   * Says what is measured from now on. Where that is not what was measured before, the least loss
   * and the wait for a lesser one begin anew.
   *
   * @param now one word, another for other pictures
   * @return a note that says so; null where nothing is lost
   */
  @Nullable String measures(String now) {
    boolean anew = measured > 0 && !now.equals(subject);
    if (anew) {
      best = Double.POSITIVE_INFINITY;
      step = 0;
      since = 0;
      measured = 0;
      lost();
    }
    subject = now;
    return anew
        ? "the loss on held-out pictures cannot be compared with that before this run was resumed:"
            + " the pictures, their crops or captions, the text encoder's settings or the noise"
            + " schedule have changed, or the checkpoint does not record them. save_best and"
            + " early_stopping_patience start again from this measurement"
        : null;
  }

  /** Takes a measurement. */
  void add(double loss, int atStep) {
    measured = atStep;
    since++;
    if (loss < best) {
      best = loss;
      step = atStep;
      since = 0;
    }
  }

  /** Measurements since the least one. */
  int since() {
    return since;
  }

  /** The step after which the least one was taken; 0 if there is none. */
  int step() {
    return step;
  }

  /** The step after which the last one was taken; 0 if there is none. */
  int measured() {
    return measured;
  }

  /** Why nothing better is waited for. */
  String waited() {
    String times = since + (since == 1 ? " measurement" : " measurements");
    return step == 0
        ? "the loss on held-out pictures was not a finite number in " + times
        : String.format(
            Locale.ROOT,
            "the loss on held-out pictures was lowest after step %d, %.4f, and not lower in %s"
                + " since",
            step,
            best,
            times);
  }

  /** The least one. */
  double loss() {
    return best;
  }

  /** Whether a model of this loss is better than the one that was saved. */
  boolean isWorthSaving(double loss) {
    return loss < saved;
  }

  /** A model of this loss is on the disk. */
  void saved(double loss) {
    saved = loss;
  }

  /** The best model is not on the disk any more, or never was. */
  void lost() {
    saved = Double.POSITIVE_INFINITY;
  }

  /** As {@link #restore} reads it: every bit of it. */
  @Override
  public String toString() {
    return "%a %d %d %d %a %s".formatted(best, step, since, measured, saved, subject);
  }

  /** Goes on from what {@link #toString} said; null, or what no run says, begins anew. */
  void restore(@Nullable String said) {
    String[] parts = said == null ? new String[0] : said.split(" ", -1);
    if (parts.length != PARTS && parts.length != PARTS_WITHOUT_SUBJECT) {
      return;
    }
    try {
      double least = Double.parseDouble(parts[0]);
      int leastStep = Integer.parseInt(parts[1]);
      int waited = Integer.parseInt(parts[2]);
      int last = Integer.parseInt(parts[3]);
      saved = Double.parseDouble(parts[4]);
      best = least;
      step = leastStep;
      since = waited;
      measured = last;
      subject = parts.length == PARTS ? parts[5] : "";
    } catch (NumberFormatException e) {
      // No run says that.
    }
  }
}
