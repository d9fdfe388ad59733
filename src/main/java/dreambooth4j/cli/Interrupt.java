package dreambooth4j.cli;

import java.util.concurrent.CountDownLatch;

/**
 * Ctrl-C or a termination signal as a wish to stop: from {@link #listen} on, the process ends only
 * after {@link #finish}, so that what is under way can be saved and said. The Java machine heeds
 * the first signal alone; a second one cannot break into the saving.
 */
final class Interrupt {
  /** The exit code after an interruption, whichever signal it was. */
  static final int EXIT_CODE = 130;

  /** Said of a command that saves what it has done. */
  static final String SAVING =
      "Stopping: the current step is finished and saved first (kill -9 %d stops at once, without"
          + " saving) ...";

  /** The same of a rank whose work another one saves. */
  static final String SAVED_BY_RANK_0 =
      "Stopping: the current step is finished, and rank 0 saves it (kill -9 %d stops at once, without saving) ...";

  /** Of a process that started the ranks. */
  static final String ENDING_RANKS =
      "Stopping: the ranks finish the current step and save (kill -9 %d stops without waiting for"
          + " them) ...";

  /** Said once a run has saved all of it. */
  static final String SAVED =
      "Stopping: the run is saved; only the measurement at its end is skipped ...";

  private final CountDownLatch asked = new CountDownLatch(1);
  private final CountDownLatch finished = new CountDownLatch(1);
  private final Thread hook = new Thread(this::request, "interrupt");
  private boolean listening;
  private volatile String said = SAVING;
  private volatile boolean requested;
  private volatile int exitCode;

  /**
   * Signals are wishes from now on.
   *
   * @param message said once one arrives; {@code %d} in it stands for the process' number
   */
  void listen(String message) {
    said = message;
    Runtime.getRuntime().addShutdownHook(hook);
    listening = true;
  }

  /** From now on this is said once a signal arrives, as in {@link #listen}. */
  void say(String message) {
    said = message;
  }

  /** Whether someone wants it to stop. */
  boolean requested() {
    return requested;
  }

  /** Waits until someone wants it to stop. */
  void await() {
    try {
      asked.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void request() {
    requested = true;
    asked.countDown();
    System.err.println();
    System.err.println(said.formatted(ProcessHandle.current().pid()));
    try {
      finished.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    // By itself the Java machine would give the signal's code, saved or not.
    Runtime.getRuntime().halt(exitCode);
  }

  /** All is saved and said: the process may end. */
  void finish(int code) {
    exitCode = code;
    finished.countDown();
    if (listening && !requested) {
      try {
        Runtime.getRuntime().removeShutdownHook(hook);
      } catch (IllegalStateException e) {
        requested = true; // the process began to end just now
      }
    }
  }
}
