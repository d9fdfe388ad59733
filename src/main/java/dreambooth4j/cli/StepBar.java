package dreambooth4j.cli;

import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.jspecify.annotations.Nullable;

/** A progress line on standard error while someone watches at a terminal; otherwise nothing. */
final class StepBar implements AutoCloseable {
  /**
   * Set by the launcher: Java itself cannot say of standard error alone whether it is a terminal.
   */
  private static final String TERMINAL = "dreambooth4j.terminal";

  private static final int REDRAW_MILLISECONDS = 200;

  private final @Nullable ProgressBar bar;

  StepBar(String task, int steps) {
    bar =
        !Boolean.getBoolean(TERMINAL)
            ? null
            : new ProgressBarBuilder()
                .setTaskName(task)
                .setInitialMax(steps)
                .setUpdateIntervalMillis(REDRAW_MILLISECONDS)
                .setStyle(ProgressBarStyle.ASCII)
                .build();
  }

  /** Some samplers take more steps than they were asked for: the line then grows with them. */
  void stepTo(int step) {
    if (bar != null) {
      bar.maxHint(Math.max(bar.getMax(), step));
      bar.stepTo(step);
    }
  }

  @Override
  public void close() {
    if (bar != null) {
      bar.close();
    }
  }
}
