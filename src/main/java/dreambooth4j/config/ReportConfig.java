package dreambooth4j.config;

import java.util.Locale;

/**
 * How a run shows itself while it goes, and at its end.
 *
 * @param monitor whether its page is served
 * @param monitorPort on this port; 0 takes any that is free
 * @param reportTo which other program's files are written too
 * @param bleed whether how far other words moved is measured at its end
 */
public record ReportConfig(boolean monitor, int monitorPort, Tracker reportTo, boolean bleed) {
  /** Programs that show runs. */
  public enum Tracker {
    /** TensorBoard, by its event files. */
    TENSORBOARD,
    /** All that there are. */
    ALL,
    /** None. */
    NONE;

    /** The name in configuration files. */
    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  static final Section<ReportConfig> KEYS = new Section<>(Key.Group.OUTPUT);

  private static final ValueType<Tracker> TRACKERS = ValueType.oneOf(Tracker.class);

  private static final int LAST_PORT = 65_535;

  static final Key<ReportConfig, Boolean> MONITOR =
      KEYS.key("monitor", ValueType.flag(), ReportConfig::monitor)
          .standard(false)
          .help(
              "Serve a live page about the run to browsers on this machine only; its address is"
                  + " printed at the start. The same page is written to report.html at the end,"
                  + " whether this is set or not.");
  static final Key<ReportConfig, Integer> MONITOR_PORT =
      KEYS.key("monitor_port", ValueType.whole(0, LAST_PORT), ReportConfig::monitorPort)
          .standard(0)
          .help(
              "Port on 127.0.0.1 at which monitor serves its page, for example for an SSH tunnel; 0"
                  + " chooses a free port.");

  static final Key<ReportConfig, Tracker> REPORT_TO =
      KEYS.key(
              "report_to",
              new ValueType<>(
                  TRACKERS.allowed()
                      + " (nothing is sent to W&B or another service: write TensorBoard's files,"
                      + " and `wandb sync --sync-tensorboard OUTPUT_DIR/logs` sends them)",
                  TRACKERS.parser(),
                  TRACKERS.kind()),
              ReportConfig::reportTo)
          .standard(Tracker.NONE)
          .help(
              "Also write the run's numbers, samples and configuration as TensorBoard's event"
                  + " files in output_dir/logs: tensorboard (or all) does, none does not. Shown by:"
                  + " tensorboard --logdir OUTPUT_DIR.");

  static final Key<ReportConfig, Boolean> BLEED_REPORT =
      KEYS.key("bleed_report", ValueType.flag(), ReportConfig::bleed)
          .standard(true)
          .help(
              "At the end, measure how far the class, caption words and unrelated prompts moved"
                  + " towards the subject, and print it and add it to report.html; skipped if it"
                  + " takes over 5 % of the run's time or too much memory. dreambooth bleed"
                  + " measures it in more detail.");

  static ReportConfig of(Values run) {
    return new ReportConfig(
        run.get(MONITOR), run.get(MONITOR_PORT), run.get(REPORT_TO), run.get(BLEED_REPORT));
  }

  /** Whether TensorBoard's event files are written. */
  public boolean tensorboard() {
    return reportTo != Tracker.NONE;
  }
}
