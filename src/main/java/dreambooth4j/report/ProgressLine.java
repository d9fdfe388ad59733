package dreambooth4j.report;

import dreambooth4j.train.Trainer;
import java.io.PrintStream;
import java.time.Duration;
import java.util.Locale;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.jspecify.annotations.Nullable;

/**
 * How far a long task is: a bar on a terminal, elsewhere a plain line now and then. Goes to
 * standard error.
 */
public final class ProgressLine implements AutoCloseable {
  private static final Duration BETWEEN_LINES = Duration.ofSeconds(5);

  private final PrintStream err;
  private final String task;
  private final int total;
  private final @Nullable ProgressBar bar;
  private final long start = System.nanoTime();
  private final int startedAt;
  private long lastLine;
  private double smoothed = Double.NaN;

  /**
   * Starts.
   *
   * @param done what an earlier run has done of {@code total}
   * @param terminal whether there is a terminal to draw a bar on
   */
  public ProgressLine(PrintStream err, String task, int done, int total, boolean terminal) {
    this.err = err;
    this.task = task;
    this.total = total;
    this.startedAt = done;
    this.bar =
        terminal
            ? new ProgressBarBuilder()
                .setTaskName(task)
                .setInitialMax(total)
                .startsFrom(done, Duration.ZERO)
                .setStyle(ProgressBarStyle.ASCII)
                .setUpdateIntervalMillis(200)
                .continuousUpdate()
                .build()
            : null;
  }

  /** A step of training is done. */
  public void step(Trainer.StepReport report) {
    double loss = report.losses().total();
    smoothed = Double.isNaN(smoothed) ? loss : 0.98 * smoothed + 0.02 * loss;
    String memory =
        ProcessMemory.now().isPresent()
            ? " | mem " + ProcessMemory.shown(ProcessMemory.now().getAsLong())
            : "";
    at(
        report.step(),
        String.format(
            Locale.ROOT,
            "loss %.4f (avg %.4f) | inst %.4f prior %.4f | norm %.3f | lr %.2e%s",
            loss,
            smoothed,
            report.losses().instance(),
            report.losses().prior(),
            report.gradientNorm(),
            report.learningRate(),
            memory));
  }

  /** So much is done. */
  public void at(int done, String more) {
    if (bar != null) {
      bar.stepTo(done);
      bar.setExtraMessage(" " + more);
      return;
    }
    long now = System.nanoTime();
    if (done == total || done == startedAt + 1 || now - lastLine > BETWEEN_LINES.toNanos()) {
      lastLine = now;
      double rate = (done - startedAt) / Math.max(1e-9, (now - start) / 1e9);
      err.println(
          String.format(
              Locale.ROOT,
              "%s %d/%d%s | %.2f it/s | left %s",
              task,
              done,
              total,
              more.isEmpty() ? "" : " | " + more,
              rate,
              shown((total - done) / Math.max(1e-9, rate))));
    }
  }

  /** Hours, minutes, seconds. */
  static String shown(double seconds) {
    Duration d = Duration.ofSeconds(Math.round(seconds));
    return String.format(
        Locale.ROOT, "%d:%02d:%02d", d.toHours(), d.toMinutesPart(), d.toSecondsPart());
  }

  @Override
  public void close() {
    if (bar != null) {
      bar.close();
    }
  }
}
