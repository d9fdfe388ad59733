package dreambooth4j.train;

/**
 * When something is done again and again: after every so many steps, counted from the run's first.
 *
 * @param every steps from one time to the next, at least 1
 */
record Schedule(int every) {
  private static final Schedule NEVER = new Schedule(Integer.MAX_VALUE);

  /**
   * As a configuration has it.
   *
   * @param steps from one time to the next; 0 leaves it to {@code epochs}
   * @param epochs from one time to the next; 0 for never
   */
  static Schedule of(int steps, int epochs, int stepsPerEpoch) {
    long every = steps > 0 ? steps : (long) epochs * stepsPerEpoch;
    return every == 0 || every > Integer.MAX_VALUE ? NEVER : new Schedule((int) every);
  }

  /** Whether its time has come when this many steps, at least one, are done. */
  boolean isDue(int done) {
    return done % every == 0;
  }

  /** How many steps are done when its time comes next. */
  int after(int done) {
    return (int) Math.min(Integer.MAX_VALUE, (done / every + 1L) * every);
  }

  /** How often its time has come when this many steps are done. */
  int times(int done) {
    return done / every;
  }
}
