package dreambooth4j.cli;

import dreambooth4j.page.RunPage;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Writes a run's page again. */
@Command(
    name = "report",
    mixinStandardHelpOptions = true,
    description =
        "Rebuilds report.html of a run from the files in its folder, for example of a run that was"
            + " killed or is still training.",
    sortOptions = false)
final class ReportCommand implements Callable<Integer> {
  @Parameters(paramLabel = "RUN", description = "The output_dir of a run of train.")
  @SuppressWarnings("NullAway.Init")
  private Path run;

  @Spec
  @SuppressWarnings("NullAway.Init")
  private CommandSpec spec;

  @Override
  public Integer call() {
    spec.commandLine().getOut().println("Report: " + RunPage.write(run));
    return 0;
  }
}
