package dreambooth4j.config;

/**
 * How a run shows itself while it goes.
 *
 * @param monitor whether its page is served
 * @param monitorPort on this port; 0 takes any that is free
 */
public record ReportConfig(boolean monitor, int monitorPort) {
  static final Section<ReportConfig> KEYS = new Section<>(Key.Group.OUTPUT);

  private static final int LAST_PORT = 65_535;

  static final Key<ReportConfig, Boolean> MONITOR =
      KEYS.key("monitor", ValueType.flag(), ReportConfig::monitor)
          .standard(false)
          .help(
              "Serve the page of the run while it goes, to browsers on this machine alone; the"
                  + " address is printed at the start. The same page is left as report.html at the"
                  + " end, with or without it.");
  static final Key<ReportConfig, Integer> MONITOR_PORT =
      KEYS.key("monitor_port", ValueType.whole(0, LAST_PORT), ReportConfig::monitorPort)
          .standard(0)
          .help(
              "Port of 127.0.0.1 that monitor serves on, so that a tunnel can be set up for it; 0"
                  + " takes any that is free.");

  static ReportConfig of(Values run) {
    return new ReportConfig(run.get(MONITOR), run.get(MONITOR_PORT));
  }
}
