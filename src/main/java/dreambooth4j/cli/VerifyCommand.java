package dreambooth4j.cli;

import dreambooth4j.Problem;
import dreambooth4j.verify.Check;
import dreambooth4j.verify.Verifier;
import dreambooth4j.weights.ModelOptions;
import dreambooth4j.weights.ModelSource;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Holds our models against recorded numbers. */
@Command(
    name = "verify",
    mixinStandardHelpOptions = true,
    description = "Holds our arithmetic against what diffusers computed.",
    footer = {
      "",
      "Prints a line for each case: its limits, the worst error and where it is.",
      "Exits 0 if all are within their limits, 1 if not or if a case is not understood.",
      "",
      "  dreambooth verify goldens/sd1/model goldens/sd1/*.safetensors goldens/sd1/tokenizer.json"
    })
final class VerifyCommand implements Callable<Integer> {
  @Spec
  @SuppressWarnings("NullAway.Init") // set by picocli
  private CommandSpec spec;

  @Parameters(index = "0", paramLabel = "MODEL", description = "The model: a diffusers folder.")
  @SuppressWarnings("NullAway.Init")
  private String model;

  @Parameters(
      index = "1..*",
      arity = "1..*",
      paramLabel = "GOLDEN",
      description = "Recorded cases: .safetensors, .json of a tokenizer, or the same model as a single file.")
  @SuppressWarnings("NullAway.Init")
  private List<Path> goldens;

  @Option(names = "--variant", description = "Which of several sets of weights, such as fp16.")
  private @Nullable String variant;

  @Option(
      names = "--case",
      paramLabel = "NAME",
      description = "Run only the GOLDEN files with this in their file name.")
  private @Nullable String only;

  @Override
  public Integer call() {
    PrintWriter out = spec.commandLine().getOut();
    List<Path> chosen = chosen();
    boolean passed = true;
    try (Verifier verifier = new Verifier(ModelSource.find(model, ModelOptions.variant(variant)))) {
      for (Path each : chosen) {
        passed &= verify(verifier, each, out);
      }
    } catch (Problem e) {
      spec.commandLine().getErr().println("error: " + e.getMessage());
      passed = false;
    }
    out.println(passed ? "All within limits." : "NOT within limits.");
    out.flush();
    return passed ? 0 : 1;
  }

  private List<Path> chosen() {
    if (only == null) {
      return goldens;
    }
    String name = only;
    List<Path> chosen =
        goldens.stream().filter(each -> String.valueOf(each.getFileName()).contains(name)).toList();
    if (chosen.isEmpty()) {
      throw new ParameterException(
          spec.commandLine(),
          "--case %s: none of the %d files has this in its name. Leave --case out to run all."
              .formatted(name, goldens.size()));
    }
    return chosen;
  }

  private static boolean verify(Verifier verifier, Path golden, PrintWriter out) {
    String name = String.valueOf(golden.getFileName());
    try {
      Verifier.Report report = verifier.verify(golden);
      Check worst = report.worst();
      out.printf(
          Locale.ROOT,
          "%-4s  %-36s %4d compared, worst %s %.1e of %.0e in %s%n",
          report.passes() ? "ok" : "FAIL",
          name,
          report.checks().size(),
          worst.measure(),
          worst.error(),
          worst.limit(),
          worst.name());
      return report.passes();
    } catch (Problem e) {
      out.printf("FAIL  %-36s %s%n", name, e.getMessage());
      return false;
    }
  }
}
