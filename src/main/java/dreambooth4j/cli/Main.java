package dreambooth4j.cli;

import dreambooth4j.Printable;
import dreambooth4j.Problem;
import dreambooth4j.engine.Platform;
import dreambooth4j.report.ProgressLine;
import dreambooth4j.report.Wrap;
import java.nio.file.Path;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.ParameterException;

/** The command line: every command is one class beside this one. */
@Command(
    name = "dreambooth",
    mixinStandardHelpOptions = true,
    version = "dreambooth4j 0.1.0",
    description = "Trains a subject into Stable Diffusion, with caption-matched class images.",
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {
      "0:done",
      "1:failed: a file could not be written, or an error of this program",
      "2:the command line or the configuration is wrong",
      "3:a picture, a caption or a model's file is wrong or missing",
      "4:the device cannot be used, or memory does not suffice",
      "5:the training diverged",
      "130:interrupted by Ctrl-C or SIGTERM, after saving"
    },
    subcommands = {
      TrainCommand.class,
      ClassImagesCommand.class,
      BakeCommand.class,
      GenerateCommand.class,
      ConvertCommand.class,
      MergeCommand.class,
      ExtractCommand.class,
      ImportCommand.class,
      InspectCommand.class,
      BleedCommand.class,
      ReportCommand.class,
      CompareCommand.class,
      VerifyCommand.class,
      DoctorCommand.class
    })
public final class Main extends Invocation {
  /** Picocli lays out no help that is narrower. */
  private static final int LEAST_HELP_COLUMNS = 55;

  /** Runs one command and exits with its code. */
  public static void main(String[] args) {
    System.exit(run(args));
  }

  /** Runs one command and returns its exit code. */
  public static int run(String... args) {
    CommandLine line = commandLine();
    ProgressLine.Terminal terminal = ProgressLine.Terminal.current();
    if (terminal != null) {
      line.setErr(Wrap.around(System.err, terminal.columns()));
    }
    ProgressLine.Terminal.columnsOfOutput()
        .ifPresent(columns -> line.setOut(Wrap.around(System.out, columns)));
    return run(line, args);
  }

  static int run(CommandLine line, String... args) {
    Main main = line.getCommand();
    int code = Problem.Kind.FAILED.exitCode();
    try {
      code = line.execute(OptionNames.normalized(line, args));
      line.getOut().flush();
      if (code == 0 && System.out.checkError()) {
        code = main.explain(outputLost(), line);
      }
    } catch (OutOfMemoryError e) {
      code =
          main.explain(
              new Problem(
                  Problem.Kind.MEMORY,
                  "out of memory (%s): give Java more, DREAMBOOTH_JAVA_OPTS=-Xmx8g"
                      .formatted(e.getMessage()),
                  e),
              line);
    } catch (LinkageError e) {
      code = main.explain(Platform.notLoaded(Platform.reason(e)), line);
    } finally {
      main.interrupt.finish(code);
    }
    return code;
  }

  /** What was printed may be half of it: a script must not take it for all. */
  private static Problem outputLost() {
    return new Problem(
        Problem.Kind.FAILED,
        "not all of the output could be written: the disk may be full, or who read it has ended");
  }

  static CommandLine commandLine() {
    Main main = new Main();
    CommandLine line = new CommandLine(main);
    ProgressLine.Terminal.usedColumns()
        .ifPresent(columns -> line.setUsageHelpWidth(Math.max(LEAST_HELP_COLUMNS, columns)));
    return line.setCaseInsensitiveEnumValuesAllowed(true)
        .registerConverter(Path.class, PathArgument::of)
        .setParameterExceptionHandler((error, args) -> misused(error))
        .setExecutionExceptionHandler((error, failed, parsed) -> main.explain(error, failed));
  }

  /** One message; the help of a command is longer than a screen and would push it out of sight. */
  private static int misused(ParameterException error) {
    CommandLine line = error.getCommandLine();
    line.getErr().println(line.getColorScheme().errorText("error: " + Misuse.explained(error)));
    line.getErr().println("See " + line.getCommandSpec().qualifiedName() + " --help");
    return Problem.Kind.USAGE.exitCode();
  }

  private int explain(Exception error, CommandLine line) {
    String message = error.getMessage() == null ? error.toString() : error.getMessage();
    line.getErr().println(line.getColorScheme().errorText("error: " + Printable.text(message)));
    if (verbose) {
      error.printStackTrace(line.getErr());
    }
    return error instanceof Problem problem ? problem.kind().exitCode() : 1;
  }
}
