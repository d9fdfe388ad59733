package dreambooth4j.cli;

import dreambooth4j.page.ComparePage;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Draws several runs on one page. */
@Command(
    name = "compare",
    mixinStandardHelpOptions = true,
    description =
        "Compares several runs on one page: their curves on the same axes, the differences of their"
            + " configurations, and their samples.",
    footer = {
      "",
      "Examples:",
      "  dreambooth compare runs/weight-0.15 runs/weight-0.4 runs/weight-1.0",
      "  dreambooth compare old new -o comparison.html"
    },
    sortOptions = false)
final class CompareCommand implements Callable<Integer> {
  @Parameters(
      arity = "2..*",
      paramLabel = "RUN",
      description = "The output_dir of a run of train; two or more.")
  @SuppressWarnings("NullAway.Init")
  private List<Path> runs;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "FILE",
      defaultValue = "compare.html",
      description = "Where the page is written (${DEFAULT-VALUE} if not given).")
  @SuppressWarnings("NullAway.Init")
  private Path output;

  @Spec
  @SuppressWarnings("NullAway.Init")
  private CommandSpec spec;

  @Override
  public Integer call() {
    ComparePage.write(runs, output);
    spec.commandLine().getOut().println("Comparison: " + output);
    return 0;
  }
}
