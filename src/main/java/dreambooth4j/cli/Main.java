package dreambooth4j.cli;

import dreambooth4j.Problem;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.ScopeType;

/** The command line: every command is one class beside this one. */
@Command(
    name = "dreambooth",
    mixinStandardHelpOptions = true,
    version = "dreambooth4j 0.1.0",
    description = "Trains a subject into Stable Diffusion, with caption-matched class images.",
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {
      "0:done",
      "1:failed",
      "2:command line or configuration",
      "3:data or model file",
      "4:device or memory",
      "5:diverged",
      "130:interrupted, after saving"
    },
    subcommands = {
      TrainCommand.class,
      ClassImagesCommand.class,
      GenerateCommand.class,
      InspectCommand.class,
      VerifyCommand.class,
      DoctorCommand.class
    })
public final class Main {
  @Option(
      names = {"-v", "--verbose"},
      scope = ScopeType.INHERIT,
      description = "Show stack traces and more of what is done.")
  boolean verbose;

  /** Runs one command and exits with its code. */
  public static void main(String[] args) {
    System.exit(run(args));
  }

  /** Runs one command and returns its exit code. */
  public static int run(String... args) {
    return commandLine().execute(args);
  }

  static CommandLine commandLine() {
    Main main = new Main();
    return new CommandLine(main)
        .setExecutionExceptionHandler((error, line, parsed) -> main.explain(error, line));
  }

  private int explain(Exception error, CommandLine line) {
    String message = error.getMessage() == null ? error.toString() : error.getMessage();
    line.getErr().println(line.getColorScheme().errorText("error: " + message));
    if (verbose) {
      error.printStackTrace(line.getErr());
    }
    return error instanceof Problem problem ? problem.kind().exitCode() : 1;
  }
}
