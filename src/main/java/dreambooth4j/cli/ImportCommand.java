package dreambooth4j.cli;

import dreambooth4j.Printable;
import dreambooth4j.Problem;
import dreambooth4j.config.ConfigReader;
import dreambooth4j.config.imports.Importer;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Turns another trainer's configuration into ours. */
@Command(
    name = "import",
    mixinStandardHelpOptions = true,
    description =
        "Turns a configuration of kohya's sd-scripts or OneTrainer into one of this program, and"
            + " says of each key what became of it: kept, converted, not needed, or not possible"
            + " and what to do instead.",
    footer = {
      "",
      "The configuration is printed, or written to OUT, which must not be there yet. What became of"
          + " the keys is printed on standard error.",
      "",
      "  dreambooth import training.toml dataset.toml -o config.yaml",
      "  dreambooth import train.sh --base ~/sd-scripts -o config.yaml",
      "  dreambooth import preset.json -o config.yaml && dreambooth train config.yaml --dry-run"
    },
    sortOptions = false)
final class ImportCommand implements Callable<Integer> {
  @Parameters(
      arity = "1..*",
      paramLabel = "FILE",
      description =
          "A TOML file of kohya's sd-scripts, for training or a dataset (both together: two files),"
              + " a shell script or text file with a command line of theirs, or a JSON preset of"
              + " OneTrainer.")
  @SuppressWarnings("NullAway.Init") // set by picocli, as all that follows
  private List<Path> files;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "OUT",
      description = "The configuration that is written; without it, it is printed.")
  private @Nullable Path output;

  @Option(
      names = "--base",
      paramLabel = "FOLDER",
      description =
          "Folder that relative paths in FILE belong to: where the other trainer was started"
              + " (default: the working folder).")
  @SuppressWarnings("NullAway.Init")
  private Path base = Path.of("");

  @Spec
  @SuppressWarnings("NullAway.Init")
  private CommandSpec spec;

  @Override
  public Integer call() {
    Importer.Imported imported = Importer.of(files, base);
    PrintWriter err = spec.commandLine().getErr();
    imported.report().forEach(line -> err.println(Printable.line(line)));
    err.flush();
    if (output == null) {
      PrintWriter out = spec.commandLine().getOut();
      out.print(imported.yaml());
      out.flush();
      check(imported.yaml(), "what is printed");
      return 0;
    }
    write(output, imported.yaml(), StandardOpenOption.CREATE_NEW);
    err.println("Written: " + Printable.line(output.toString()));
    err.flush();
    check(imported.yaml(), output.toString());
    err.println("Train with it: dreambooth train " + Printable.line(output.toString()));
    return 0;
  }

  /** Reads it as train would, so that what is missing is said now. */
  private static void check(String yaml, String where) {
    try {
      Path file = Files.createTempFile("import", ".yaml");
      try {
        write(file, yaml, StandardOpenOption.TRUNCATE_EXISTING);
        ConfigReader.read(file, Map.of());
      } catch (Problem e) {
        String reason = String.valueOf(e.getMessage()).replace(file.toString(), where);
        throw Problem.usage("this configuration cannot be trained with yet:\n" + reason);
      } finally {
        Files.delete(file);
      }
    } catch (IOException e) {
      throw new Problem(
          Problem.Kind.FAILED,
          "a temporary file cannot be written: %s: free space in the folder for temporary files"
              .formatted(Problem.why(e)),
          e);
    }
  }

  private static void write(Path file, String text, StandardOpenOption how) {
    try {
      Files.writeString(file, text, how, StandardOpenOption.WRITE);
    } catch (FileAlreadyExistsException e) {
      throw new Problem(
          Problem.Kind.USAGE, file + " is there already: choose another name, or remove it", e);
    } catch (IOException e) {
      throw new Problem(
          Problem.Kind.FAILED, "%s cannot be written: %s".formatted(file, Problem.why(e)), e);
    }
  }
}
