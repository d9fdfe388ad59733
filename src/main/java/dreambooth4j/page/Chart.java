package dreambooth4j.page;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Lines over steps, on one axis.
 *
 * @param unit of the values: "bytes" are shown as such; else a word behind them, or empty
 * @param smooth whether a smoothed line is drawn over each
 */
record Chart(String title, String unit, boolean smooth, List<Line> lines) {
  /** More points than a screen has pixels show nothing more. */
  private static final int MOST_POINTS = 2000;

  /**
   * A line, without gaps: steps that have no value are not in it.
   *
   * @param level whether it is a level to compare with rather than a measurement
   * @param hidden whether it is drawn only when its name is clicked
   */
  @SuppressWarnings("ArrayRecordComponent") // nobody compares lines
  record Line(String name, double[] x, double[] y, boolean level, boolean hidden) {
    /**
     * The values that are numbers; where there are very many, means of as many in a row as it
     * takes.
     */
    static Line of(String name, double[] steps, double[] values) {
      int[] some =
          IntStream.range(0, values.length).filter(i -> Double.isFinite(values[i])).toArray();
      int each = Math.max(1, (some.length + MOST_POINTS - 1) / MOST_POINTS);
      int points = (some.length + each - 1) / each;
      double[] x = new double[points];
      double[] y = new double[points];
      for (int i = 0; i < points; i++) {
        int to = Math.min(some.length, (i + 1) * each);
        for (int j = i * each; j < to; j++) {
          y[i] += values[some[j]] / (to - i * each);
        }
        x[i] = steps[some[to - 1]];
      }
      return new Line(name, x, y, false, false);
    }

    /** A level from the first to the last of these steps. */
    static Line level(String name, double[] steps, double value) {
      double[] x = {steps[0], steps[steps.length - 1]};
      return new Line(name, x, new double[] {value, value}, true, false);
    }

    Line hidden(boolean whether) {
      return new Line(name, x, y, level, whether);
    }

    private boolean isEmpty() {
      return x.length == 0;
    }
  }

  /** A chart of those lines that there are. */
  static Chart of(String title, String unit, boolean smooth, List<Line> lines) {
    return new Chart(title, unit, smooth, lines.stream().filter(line -> !line.isEmpty()).toList());
  }

  boolean isEmpty() {
    return lines.isEmpty();
  }

  /** The charts of one run. */
  static List<Chart> ofRun(Metrics metrics, RunRecord.Memory memory) {
    double[] steps = metrics.steps();
    List<Line> losses = new ArrayList<>();
    boolean prior = anyFinite(metrics.column("prior_loss"));
    losses.add(Line.of(prior ? "instance" : "loss", steps, metrics.column("instance_loss")));
    losses.add(Line.of("prior", steps, metrics.column("prior_loss")));
    if (prior) {
      losses.add(Line.of("instance + weight × prior", steps, metrics.column("loss")).hidden(true));
    }
    List<Line> others = new ArrayList<>();
    for (String name : metrics.names()) {
      if (name.startsWith("validation_")) {
        Line line = Line.of(name.replace('_', ' '), steps, metrics.column(name));
        (name.contains("loss") ? losses : others).add(line);
      }
    }
    List<Chart> charts = new ArrayList<>();
    charts.add(of("Loss", "", true, losses));
    charts.add(of("Validation", "", false, others));
    charts.add(single(metrics, "Learning rate", "", false, "learning_rate"));
    charts.add(single(metrics, "Norm of the gradients", "", true, "grad_norm"));
    charts.add(single(metrics, "Loss scale of fp16", "", false, "loss_scale"));
    charts.add(
        of("Pictures a second", "", true, List.of(Line.of("pictures/s", steps, speed(metrics)))));
    charts.add(seconds(metrics));
    charts.add(memory(metrics, memory));
    charts.removeIf(Chart::isEmpty);
    return charts;
  }

  private static Chart single(
      Metrics metrics, String title, String unit, boolean smooth, String column) {
    String name = column.replace('_', ' ');
    return of(title, unit, smooth, List.of(Line.of(name, metrics.steps(), metrics.column(column))));
  }

  private static Chart seconds(Metrics metrics) {
    double[] steps = metrics.steps();
    double[] seconds = metrics.column("seconds");
    List<Line> lines = new ArrayList<>();
    lines.add(Line.of("seconds", steps, seconds));
    if (anyFinite(seconds)) {
      for (int percent : new int[] {50, 90, 99}) {
        lines.add(Line.level(percent + " %", steps, percentile(seconds, percent)));
      }
    }
    return of("Seconds a step", "s", false, lines);
  }

  private static Chart memory(Metrics metrics, RunRecord.Memory memory) {
    double[] steps = metrics.steps();
    double[] tensors = metrics.column("tensor_bytes");
    List<Line> lines = new ArrayList<>();
    lines.add(Line.of("tensors, the most so far", steps, tensors));
    String all = memory.ofGpu() ? "the GPU, the most so far" : "the whole process";
    lines.add(Line.of(all, steps, metrics.column("memory_bytes")));
    if (anyFinite(tensors) && memory.plan() > 0) {
      lines.add(Line.level("tensors by the plan", steps, (double) memory.plan()));
    }
    if (memory.before() > 0 && !lines.get(1).isEmpty()) {
      lines.add(Line.level("the process before the run", steps, (double) memory.before()));
    }
    return of("Memory", "bytes", false, lines);
  }

  /** Pictures a second, class images counted. */
  static double[] speed(Metrics metrics) {
    double[] pictures = metrics.column("pictures");
    double[] seconds = metrics.column("seconds");
    double[] speed = new double[pictures.length];
    for (int i = 0; i < speed.length; i++) {
      speed[i] = seconds[i] > 0 ? pictures[i] / seconds[i] : Double.NaN;
    }
    return speed;
  }

  private static boolean anyFinite(double[] values) {
    return Arrays.stream(values).anyMatch(Double::isFinite);
  }

  /** The value that so many percent of the finite ones do not exceed; NaN where there are none. */
  static double percentile(double[] values, int percent) {
    double[] sorted = Arrays.stream(values).filter(Double::isFinite).sorted().toArray();
    return sorted.length == 0
        ? Double.NaN
        : sorted[Math.max(0, (int) Math.ceil(sorted.length * percent / 100.0) - 1)];
  }

  /** One chart of each kind with a line for each run, for runs that have it. */
  static List<Chart> ofRuns(List<String> names, List<Metrics> runs) {
    List<Chart> charts = new ArrayList<>();
    charts.add(across("Instance loss", "", true, names, runs, "instance_loss"));
    charts.add(across("Prior loss", "", true, names, runs, "prior_loss"));
    runs.stream()
        .flatMap(run -> run.names().stream())
        .filter(column -> column.startsWith("validation_"))
        .distinct()
        .forEach(
            column -> {
              String title = "V" + column.substring(1).replace('_', ' ');
              charts.add(across(title, "", false, names, runs, column));
            });
    charts.add(across("Learning rate", "", false, names, runs, "learning_rate"));
    charts.add(across("Norm of the gradients", "", true, names, runs, "grad_norm"));
    List<Line> speeds = new ArrayList<>();
    for (int i = 0; i < runs.size(); i++) {
      speeds.add(Line.of(names.get(i), runs.get(i).steps(), speed(runs.get(i))));
    }
    charts.add(of("Pictures a second", "", true, speeds));
    charts.add(across("Memory", "bytes", false, names, runs, "memory_bytes"));
    charts.removeIf(Chart::isEmpty);
    return charts;
  }

  private static Chart across(
      String title,
      String unit,
      boolean smooth,
      List<String> names,
      List<Metrics> runs,
      String column) {
    List<Line> lines = new ArrayList<>();
    for (int i = 0; i < runs.size(); i++) {
      lines.add(Line.of(names.get(i), runs.get(i).steps(), runs.get(i).column(column)));
    }
    return of(title, unit, smooth, lines);
  }
}
