package dreambooth4j.page;

import dreambooth4j.engine.ProcessMemory;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * What the script of a page draws.
 *
 * @param version changes with what there is to draw
 * @param state of the run in words; empty on a page of several
 * @param tiles the numbers at its head
 */
record PageData(
    String version, String state, List<Tile> tiles, List<Chart> charts, List<Slider> samples) {
  /** Sheets of one prompt that a page holds; their sides shrink as there are more of them. */
  private static final int MOST_SHEETS = 40;

  private static final int MOST_SHEETS_IN_ALL = 120;
  private static final int[][] SIDES = {{24, 1024}, {48, 768}, {MOST_SHEETS_IN_ALL, 512}};

  /** A number and what it is. */
  record Tile(String value, String name) {}

  /** The samples of one prompt. */
  record Slider(String name, List<Step> steps) {}

  /** A sheet, and where the page finds it. */
  record Step(int step, String source) {}

  /** What is drawn of one run. */
  static PageData of(Run run, Pictures pictures) {
    return new PageData(
        version(run),
        state(run),
        tiles(run),
        Chart.ofRun(run.metrics(), run.record().memory()),
        sliders(run.samples(), pictures));
  }

  /** What tells whether there is anything new to draw of a run. */
  static String version(Run run) {
    int sheets = run.samples().stream().mapToInt(each -> each.sheets().size()).sum();
    return "%d-%d-%d-%s".formatted(run.metrics().rows(), run.done(), sheets, run.record().state());
  }

  static List<Slider> sliders(List<Samples> samples, Pictures pictures) {
    int each = Math.min(MOST_SHEETS, MOST_SHEETS_IN_ALL / Math.max(1, samples.size()));
    List<Samples> some =
        samples.stream()
            .limit(MOST_SHEETS_IN_ALL / 2)
            .map(s -> s.atMost(Math.max(2, each)))
            .toList();
    int count = some.stream().mapToInt(s -> s.sheets().size()).sum();
    int side =
        Arrays.stream(SIDES).filter(s -> count <= s[0]).mapToInt(s -> s[1]).findFirst().orElse(512);
    List<Slider> sliders = new ArrayList<>();
    for (Samples sample : some) {
      List<Step> steps = new ArrayList<>();
      for (Samples.Sheet sheet : sample.sheets()) {
        String source = pictures.source(sheet.file(), side);
        if (source != null) {
          steps.add(new Step(sheet.step(), source));
        }
      }
      if (!steps.isEmpty()) {
        sliders.add(new Slider(sample.name(), steps));
      }
    }
    return sliders;
  }

  private static String state(Run run) {
    RunRecord record = run.record();
    String why = record.message().isEmpty() ? "" : ": " + record.message();
    return "The run " + record.state().words() + why;
  }

  private static List<Tile> tiles(Run run) {
    RunRecord record = run.record();
    Metrics metrics = run.metrics();
    List<Tile> tiles = new ArrayList<>();
    tiles.add(new Tile("%d of %d".formatted(run.done(), record.steps()), "steps"));
    double[] seconds = metrics.column("seconds");
    double[] speed = Chart.speed(metrics);
    add(tiles, Chart.percentile(speed, 50), "%s pictures/s", "as a median");
    double half = Chart.percentile(seconds, 50);
    if (Double.isFinite(half)) {
      tiles.add(
          new Tile(
              "%s · %s · %s s"
                  .formatted(
                      shown(half),
                      shown(Chart.percentile(seconds, 90)),
                      shown(Chart.percentile(seconds, 99))),
              "a step: 50 %, 90 %, 99 % take no longer"));
    }
    double peak = Chart.percentile(metrics.column("tensor_bytes"), 100);
    if (Double.isFinite(peak) && record.memory().plan() > 0) {
      tiles.add(
          new Tile(
              ProcessMemory.shown((long) peak),
              "in tensors at most, " + ProcessMemory.shown(record.memory().plan()) + " planned"));
    }
    String time = duration(record.began(), record.ended());
    if (time != null) {
      tiles.add(new Tile(time, record.resumedAt() > 0 ? "since it was resumed" : "in all"));
    }
    return tiles;
  }

  private static void add(List<Tile> tiles, double value, String format, String name) {
    if (Double.isFinite(value)) {
      tiles.add(new Tile(format.formatted(shown(value)), name));
    }
  }

  /** Three digits. */
  private static String shown(double value) {
    return Math.abs(value) >= 100
        ? String.format(Locale.ROOT, "%.0f", value)
        : String.format(Locale.ROOT, Math.abs(value) < 1 ? "%.3f" : "%.3g", value);
  }

  private static @Nullable String duration(String from, @Nullable String to) {
    try {
      Instant end = to == null ? null : Instant.parse(to);
      if (end == null) {
        return null;
      }
      Duration took = Duration.between(Instant.parse(from), end);
      return took.toHours() > 0
          ? "%d h %02d min".formatted(took.toHours(), took.toMinutesPart())
          : took.toMinutes() > 0
              ? "%d min %02d s".formatted(took.toMinutes(), took.toSecondsPart())
              : took.toSeconds() + " s";
    } catch (DateTimeException e) {
      return null; // not a time that we have written
    }
  }
}
