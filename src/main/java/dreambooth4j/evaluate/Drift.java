package dreambooth4j.evaluate;

/**
 * How far a model's answers to a prompt moved in training, by sums over what both models said of
 * the same noisy latents, a sum for each seed. With b the base model's answer to the prompt, t the
 * trained model's, and s what the trained model says of the same latents when told the subject's
 * prompt:
 *
 * <pre>
 *   bleed   = √(Σ|t − b|² / Σ|s − b|²)      how far it went of the way to the subject
 *   towards = Σ(t − b)·(s − b) / Σ|s − b|²   how much of that went to the subject
 *   moved   = √(Σ|t − b|² / Σ|t' − b'|²)     beside how far the subject's own answers (') moved
 *   change  = √(Σ|t − b|² / Σ|b|²)           beside the answers' own size
 * </pre>
 *
 * A model that was not changed has 0 in all of them, and one that answers the prompt as it answers
 * the subject's has a bleed and a towards of 1 exactly. The sums over seeds are divided, rather
 * than quotients averaged: so a seed at which little could move does not outweigh the others.
 */
final class Drift {
  private final double[] moved;
  private final double[] way;
  private final double[] along;
  private final double[] size;

  Drift(int seeds) {
    moved = new double[seeds];
    way = new double[seeds];
    along = new double[seeds];
    size = new double[seeds];
  }

  /**
   * Adds what was said at one timestep; each [seeds, ..], alike.
   *
   * @param subject what the trained model says of the same latents to the subject's prompt
   */
  void add(float[] base, float[] trained, float[] subject) {
    int each = base.length / moved.length;
    for (int i = 0; i < base.length; i++) {
      int seed = i / each;
      double went = (double) trained[i] - base[i];
      double whole = (double) subject[i] - base[i];
      moved[seed] += went * went;
      way[seed] += whole * whole;
      along[seed] += went * whole;
      size[seed] += (double) base[i] * base[i];
    }
  }

  Interval bleed() {
    return Interval.over(moved.length, seeds -> root(quotient(moved, way, seeds)));
  }

  Interval towards() {
    return Interval.over(moved.length, seeds -> quotient(along, way, seeds));
  }

  /** Beside how far the answers to the subject's prompt moved, at the same seeds. */
  Interval moved(Drift ofSubject) {
    return Interval.over(moved.length, seeds -> root(quotient(moved, ofSubject.moved, seeds)));
  }

  Interval change() {
    return Interval.over(moved.length, seeds -> root(quotient(moved, size, seeds)));
  }

  private static double root(double square) {
    return Math.sqrt(Math.max(0, square));
  }

  /** Nothing moved of nothing is nothing. */
  private static double quotient(double[] of, double[] by, int[] seeds) {
    double above = 0;
    double below = 0;
    for (int seed : seeds) {
      above += of[seed];
      below += by[seed];
    }
    return above == 0 ? 0 : above / below;
  }
}
