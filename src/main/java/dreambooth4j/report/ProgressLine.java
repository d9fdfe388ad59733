package dreambooth4j.report;

import dreambooth4j.Printable;
import dreambooth4j.engine.ProcessMemory;
import dreambooth4j.train.Trainer;
import java.io.PrintStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.OptionalInt;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * How far a long task is, on standard error: one line that is drawn over and over on a terminal,
 * elsewhere a line now and then. What matters most stands first; what does not fit a terminal's
 * width is left out, so that the line never wraps.
 */
public final class ProgressLine implements AutoCloseable {
  private static final Duration BETWEEN_LINES = Duration.ofSeconds(5);
  private static final Duration BETWEEN_DRAWINGS = Duration.ofMillis(100);
  private static final int LEAST_COLUMNS = 20;

  /** A terminal to draw on. */
  public record Terminal(int columns) {
    private static final int USUAL_COLUMNS = 80;

    /** The terminal that standard error is, as the launcher tells; null if it is none. */
    public static @Nullable Terminal current() {
      if (!Boolean.getBoolean("dreambooth.terminal")) {
        return null;
      }
      return new Terminal(usedColumns().orElse(USUAL_COLUMNS));
    }

    /** How wide the terminal is that standard output is; empty if it is none. */
    public static OptionalInt columnsOfOutput() {
      return Boolean.getBoolean("dreambooth.output.terminal") ? usedColumns() : OptionalInt.empty();
    }

    /** How wide the terminal is that this runs in; empty if it runs in none. */
    public static OptionalInt usedColumns() {
      int columns = Integer.getInteger("dreambooth.columns", 0);
      return columns > 0 ? OptionalInt.of(columns) : OptionalInt.empty(); // some terminals say 0
    }

    /** A line as it is printed here. */
    static String shown(@Nullable Terminal terminal, String line) {
      String safe = Printable.text(line);
      return terminal == null ? safe : Wrap.words(safe, terminal.columns);
    }
  }

  private final PrintStream err;
  private final String task;
  private final String unit;
  private final int total;
  private final @Nullable Terminal terminal;
  private final LongSupplier clock;
  private long firstTime;
  private int first = -1;
  private int latest;
  private long shownTime;
  private int shownDone = -1;
  private int drawnLength;
  private double average = Double.NaN;

  /** Starts; {@code terminal} is null where there is none to draw on. */
  public ProgressLine(PrintStream err, String task, int total, @Nullable Terminal terminal) {
    this(err, task, "it/s", total, terminal, System::nanoTime);
  }

  ProgressLine(
      PrintStream err,
      String task,
      String unit,
      int total,
      @Nullable Terminal terminal,
      LongSupplier clock) {
    this.err = err;
    this.task = task;
    this.unit = unit;
    this.total = total;
    this.terminal = terminal;
    this.clock = clock;
  }

  /** Over a file's megabytes. */
  public static ProgressLine ofMegabytes(
      PrintStream err, String task, int total, @Nullable Terminal terminal) {
    return new ProgressLine(err, task, "MB/s", total, terminal, System::nanoTime);
  }

  /** Over class images, to be told of 0 when the first is begun. */
  static ProgressLine ofClassImages(
      PrintStream err, int total, @Nullable Terminal terminal, LongSupplier clock) {
    return new ProgressLine(err, "class images", "images/s", total, terminal, clock);
  }

  /** A step of training is done. */
  public void step(Trainer.StepReport report) {
    double loss = report.losses().total();
    average = Double.isNaN(average) ? loss : 0.98 * average + 0.02 * loss;
    List<String> parts = new ArrayList<>();
    parts.add(number("inst %.3f", report.losses().instance()));
    Double prior = report.losses().prior();
    if (prior != null) {
      parts.add(number("prior %.3f", prior));
    }
    parts.add(number("norm %.2f", report.gradientNorm()));
    parts.add("lr " + exponent(report.learningRate()));
    ProcessMemory.now().ifPresent(bytes -> parts.add("mem " + ProcessMemory.shown(bytes)));
    parts.add(number("avg loss %.4f", average));
    at(report.step(), parts);
  }

  /** So much is done. */
  public void at(int done) {
    at(done, List.of());
  }

  private void at(int done, List<String> more) {
    long now = clock.getAsLong();
    if (first < 0) {
      first = done;
      firstTime = now;
    }
    latest = done;
    Duration pause = terminal == null ? BETWEEN_LINES : BETWEEN_DRAWINGS;
    // The first that is done is worth a line: it shows that the work goes on, and how fast.
    boolean due = shownDone <= 0 || done == total || now - shownTime > pause.toNanos();
    if (!due || done == shownDone) {
      return;
    }
    shownTime = now;
    shownDone = done;
    List<String> parts = new ArrayList<>();
    parts.add("%s %d/%d".formatted(task, done, total));
    if (done > first && now > firstTime) {
      // Without the first one, which also sets up what the others find ready.
      double rate = (done - first) / ((now - firstTime) / 1e9);
      parts.add(time((total - done) / rate) + " left");
      parts.add(rate(rate) + " " + unit);
    }
    parts.addAll(more);
    if (terminal == null) {
      err.println(String.join(" | ", parts));
    } else {
      draw(parts, Math.max(LEAST_COLUMNS, terminal.columns) - 1);
    }
  }

  private void draw(List<String> parts, int columns) {
    // A second blank between the parts reads better, where it costs none of them.
    int shown = fitting(parts, 1, columns);
    int blanks = fitting(parts, 2, columns) == shown ? 2 : 1;
    String line = String.join(" ".repeat(blanks), parts.subList(0, shown));
    line = line.substring(0, Math.min(line.length(), columns));
    String over = " ".repeat(Math.max(0, drawnLength - line.length()));
    err.print("\r" + line + over);
    err.flush();
    drawnLength = line.length();
  }

  /** How many parts fit; the first is shown in any case. */
  private static int fitting(List<String> parts, int blanks, int columns) {
    int length = parts.get(0).length();
    int count = 1;
    while (count < parts.size()) {
      length += blanks + parts.get(count).length();
      if (length > columns) {
        break;
      }
      count++;
    }
    return count;
  }

  /** Prints a line of its own; on a terminal the progress moves below it, unless it is done. */
  public void say(String line) {
    if (shownDone == total) {
      close();
    } else if (drawnLength > 0) {
      err.print("\r" + " ".repeat(drawnLength) + "\r");
      drawnLength = 0;
      shownDone = -1;
    }
    err.println(Terminal.shown(terminal, line));
  }

  /** What was done until now and how long it took, as "40 class images in 3:20, 0.200 images/s". */
  public String summary() {
    double seconds = (clock.getAsLong() - firstTime) / 1e9;
    int done = Math.max(0, latest);
    String count = done == total ? Integer.toString(done) : done + " of " + total;
    String rate = seconds > 0 ? ", %s %s".formatted(rate((done - first) / seconds), unit) : "";
    return "%s %s in %s%s".formatted(count, task, time(seconds), rate);
  }

  private static String number(String format, double value) {
    return String.format(Locale.ROOT, format, value);
  }

  /** 1e-4, 2.5e-6. */
  private static String exponent(double value) {
    return value == 0 ? "0" : number("%.2e", value).replaceAll("\\.?0*e([-+])0*(\\d)", "e$1$2");
  }

  private static String rate(double rate) {
    return number(rate >= 100 ? "%.0f" : rate >= 1 ? "%.1f" : "%.3f", rate);
  }

  /** Hours if there are any, minutes, seconds. */
  static String time(double seconds) {
    Duration d = Duration.ofSeconds(Math.round(seconds));
    return d.toHours() > 0
        ? String.format(
            Locale.ROOT, "%d:%02d:%02d", d.toHours(), d.toMinutesPart(), d.toSecondsPart())
        : String.format(Locale.ROOT, "%d:%02d", d.toMinutesPart(), d.toSecondsPart());
  }

  /** Leaves the last state standing. */
  @Override
  public void close() {
    if (drawnLength > 0) {
      err.println();
      drawnLength = 0;
    }
  }
}
