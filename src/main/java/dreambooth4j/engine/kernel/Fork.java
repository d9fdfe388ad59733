package dreambooth4j.engine.kernel;

/**
 * Runs two pieces of work that need nothing of each other: one after the other, or at once where a
 * device can.
 */
@FunctionalInterface
public interface Fork {
  /** One after the other, the second first: that is where {@code work} makes what is kept. */
  Fork NONE =
      (work, beside) -> {
        beside.run();
        work.run();
      };

  /**
   * Runs both; what is launched after it comes after both.
   *
   * @param work may write or free nothing that {@code beside} reads or writes
   * @param beside may write or free nothing that {@code work} reads or writes
   */
  void run(Runnable work, Runnable beside);
}
