package dreambooth4j.train;

import org.jspecify.annotations.Nullable;

/**
 * The least loss on held-out pictures so far, and that of the best model that lies on the disk,
 * which is another where one could not be saved. A checkpoint keeps them, so that a run that goes
 * on knows how long it has waited for a better one and what it has measured.
 */
final class BestLoss {
  private static final int PARTS = 5;

  private double best = Double.POSITIVE_INFINITY;
  private int step;
  private int since;
  private int measured;
  private double saved = Double.POSITIVE_INFINITY;

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
    return "%a %d %d %d %a".formatted(best, step, since, measured, saved);
  }

  /** Goes on from what {@link #toString} said; null, or what no run says, begins anew. */
  void restore(@Nullable String said) {
    String[] parts = said == null ? new String[0] : said.split(" ", -1);
    if (parts.length != PARTS) {
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
    } catch (NumberFormatException e) {
      // No run says that.
    }
  }
}
