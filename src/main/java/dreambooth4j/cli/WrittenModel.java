package dreambooth4j.cli;

import dreambooth4j.config.FloatType;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.ProcessMemory;
import dreambooth4j.pipeline.Devices;
import dreambooth4j.report.ProgressLine;
import dreambooth4j.weights.Conversion;
import dreambooth4j.weights.ModelForm;
import dreambooth4j.weights.ModelSource;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** How a model is written, and the writing of it. */
final class WrittenModel {
  private static final long MEGABYTE = 1_000_000;

  @Option(
      names = "--dtype",
      paramLabel = "TYPE",
      description =
          "Precision of the weights that are written: fp32, fp16 or bf16 (if not given, that of the"
              + " input).")
  private @Nullable FloatType precision;

  /** The type that was asked for; null if none was. */
  @Nullable DType type() {
    return precision == null ? null : Devices.typeOf(precision);
  }

  /** Prepares it: the place must be free. */
  Conversion conversion(ModelSource model, Path output, ModelForm.Format format) {
    return new Conversion(model, output, format, type());
  }

  /** Writes a model, shows how far it is, and says what was written. */
  static void run(Conversion conversion, String task, PrintWriter out) {
    long bytes = conversion.bytes();
    int total = (int) Math.max(1, bytes / MEGABYTE);
    PrintStream err = System.err;
    try (ProgressLine line =
        ProgressLine.ofMegabytes(err, task, total, ProgressLine.Terminal.current())) {
      long[] written = {0};
      conversion.run(
          more -> {
            written[0] += more;
            line.at((int) Math.min(total - 1, written[0] / MEGABYTE));
          });
      line.at(total); // what is forced to the disk is there now
    }
    out.printf("%s: %s of weights%n", conversion.output(), ProcessMemory.shown(bytes));
    out.flush();
  }
}
