package dreambooth4j.review;

/** One thing that somebody does in a review, and how it is taken back. For one thread at a time. */
interface ReviewAction {
  /**
   * Does it; all that it changes is on disk when it returns.
   *
   * @throws dreambooth4j.Problem if it cannot be done; nothing is changed then
   */
  Done apply();

  /** Whether {@link #apply} changed something that {@link #undo} can take back. */
  boolean changed();

  /**
   * Takes it back, once, after {@link #apply}.
   *
   * @throws dreambooth4j.Problem if that cannot be done any more
   */
  Done undo();
}
