package dreambooth4j.train;

import org.jspecify.annotations.Nullable;

/**
 * The least loss on held-out pictures so far, which a checkpoint keeps so that a run that goes on
 * knows how long it has waited for a better one.
 */
final class BestLoss {
  private double best = Double.POSITIVE_INFINITY;
  private int step;
  private int since;

  /** Takes a measurement; whether it is the least so far. */
  boolean isBest(double loss, int atStep) {
    if (loss < best) {
      best = loss;
      step = atStep;
      since = 0;
      return true;
    }
    since++;
    return false;
  }

  /** Measurements since the least one. */
  int since() {
    return since;
  }

  /** The step after which the least one was taken. */
  int step() {
    return step;
  }

  /** The least one. */
  double loss() {
    return best;
  }

  /** As {@link #restore} reads it: every bit of it. */
  @Override
  public String toString() {
    return "%a %d %d".formatted(best, step, since);
  }

  /** Goes on from what {@link #toString} said; null, or what no run says, begins anew. */
  void restore(@Nullable String said) {
    String[] parts = said == null ? new String[0] : said.split(" ", -1);
    if (parts.length == 3 && parts[1].matches("\\d{1,9}") && parts[2].matches("\\d{1,9}")) {
      try {
        best = Double.parseDouble(parts[0]);
      } catch (NumberFormatException e) {
        return;
      }
      step = Integer.parseInt(parts[1]);
      since = Integer.parseInt(parts[2]);
    }
  }
}
