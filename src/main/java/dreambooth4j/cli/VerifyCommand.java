package dreambooth4j.cli;

import dreambooth4j.FolderEntries;
import dreambooth4j.Problem;
import dreambooth4j.verify.Check;
import dreambooth4j.verify.Verifier;
import dreambooth4j.weights.ModelOptions;
import dreambooth4j.weights.ModelSource;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
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
    description = "Compares what this program computes with recorded results of diffusers.",
    footer = {
      "",
      "Prints a line for each case: its limit, the largest error and the tensor that has it.",
      "Exits with 0 if all errors are within their limits, with 1 if not or if a file is not"
          + " understood.",
      "",
      "  dreambooth verify goldens/sd1/model goldens/sd1/*.safetensors goldens/sd1/tokenizer.json",
      "  dreambooth verify goldens/objectives"
    })
final class VerifyCommand implements Callable<Integer> {
  @Spec
  @SuppressWarnings("NullAway.Init") // set by picocli
  private CommandSpec spec;

  @Parameters(
      arity = "1..*",
      paramLabel = "[MODEL] GOLDEN",
      description = {
        "The model that cases of a model are of: a diffusers folder or a single file.",
        "Recorded cases: .safetensors, .json of a tokenizer, folders of them, or the same model as"
            + " a single file."
      })
  @SuppressWarnings("NullAway.Init")
  private List<String> given;

  @Option(
      names = "--variant",
      paramLabel = "TEXT",
      description = "Read the weights of this variant, such as fp16: *.fp16.safetensors.")
  private @Nullable String variant;

  @Option(
      names = "--case",
      paramLabel = "NAME",
      description = "Run only the GOLDEN files with this in their file name.")
  private @Nullable String only;

  @Override
  public Integer call() {
    PrintWriter out = spec.commandLine().getOut();
    boolean modelless = holdsCases(Path.of(given.get(0)));
    List<Path> chosen = chosen(given.subList(modelless ? 0 : 1, given.size()));
    boolean passed = true;
    try (Verifier verifier =
        new Verifier(
            modelless ? null : ModelSource.find(given.get(0), ModelOptions.variant(variant)))) {
      int width = chosen.stream().mapToInt(each -> name(each).length()).max().orElse(1);
      for (Path each : chosen) {
        passed &= verify(verifier, each, width, out);
      }
    } catch (Problem e) {
      spec.commandLine().getErr().println("error: " + e.getMessage());
      passed = false;
    }
    out.println(passed ? "All within limits." : "NOT within limits.");
    out.flush();
    return passed ? 0 : 1;
  }

  /** Whether this is a case or a folder of cases, and no model. */
  private static boolean holdsCases(Path path) {
    return Files.isDirectory(path)
        ? cases(path).stream().anyMatch(Verifier::isCase)
        : Files.isRegularFile(path) && Verifier.isCase(path);
  }

  /** The cases that lie in a folder, by name. */
  private static List<Path> cases(Path folder) {
    try {
      return FolderEntries.of(folder).stream()
          .filter(file -> String.valueOf(file.getFileName()).matches(".+\\.(safetensors|json)"))
          .filter(file -> !String.valueOf(file.getFileName()).equals("model_index.json"))
          .toList();
    } catch (IOException e) {
      throw Problem.data(folder + " cannot be listed: " + Problem.why(e));
    }
  }

  private List<Path> chosen(List<String> named) {
    List<Path> goldens =
        named.stream()
            .map(Path::of)
            .flatMap(each -> Files.isDirectory(each) ? cases(each).stream() : Stream.of(each))
            .toList();
    if (goldens.isEmpty()) {
      throw new ParameterException(
          spec.commandLine(), "Give recorded cases, or folders of them, after the model.");
    }
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

  private static String name(Path golden) {
    return String.valueOf(golden.getFileName());
  }

  /** Prints the line of a case, its name as wide as the longest: what follows stands in columns. */
  private static boolean verify(Verifier verifier, Path golden, int width, PrintWriter out) {
    String name = ("%-" + width + "s").formatted(name(golden));
    try {
      Verifier.Report report = verifier.verify(golden);
      Check worst = report.worst();
      out.printf(
          Locale.ROOT,
          "%-4s  %s %4d compared, worst %7.1e of %5.0e: %s in %s%n",
          report.passes() ? "ok" : "FAIL",
          name,
          report.checks().size(),
          worst.error(),
          worst.limit(),
          worst.measure(),
          worst.name());
      return report.passes();
    } catch (Problem e) {
      out.printf("FAIL  %s %s%n", name, e.getMessage());
      return false;
    }
  }
}
