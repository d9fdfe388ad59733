package dreambooth4j.cli;

import java.util.concurrent.CountDownLatch;

/**
 * Ctrl-C or a termination signal as a wish to stop: while this is open, the process ends only after
 * it was closed, so that what is under way can be saved.
 */
final class Interrupt implements AutoCloseable {
  /** The exit code after an interruption; the Java machine gives the same for Ctrl-C. */
  static final int EXIT_CODE = 130;

  private final CountDownLatch finished = new CountDownLatch(1);
  private final Thread hook = new Thread(this::request, "interrupt");
  private volatile boolean requested;

  Interrupt() {
    Runtime.getRuntime().addShutdownHook(hook);
  }

  /** Whether someone wants it to stop. */
  boolean requested() {
    return requested;
  }

  private void request() {
    requested = true;
    System.err.println("\nStopping: the step is finished and saved first ...");
    try {
      finished.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public void close() {
    finished.countDown();
    if (!requested) {
      try {
        Runtime.getRuntime().removeShutdownHook(hook);
      } catch (IllegalStateException e) {
        requested = true; // the process began to end just now
      }
    }
  }
}
