package dreambooth4j.cli;

import dreambooth4j.config.Config;
import dreambooth4j.config.ConfigReader;
import dreambooth4j.config.ConfigWriter;
import dreambooth4j.pipeline.Origin;
import dreambooth4j.report.MemoryTable;
import dreambooth4j.report.ProgressLine;
import dreambooth4j.report.RunReport;
import dreambooth4j.train.MemoryForecast;
import dreambooth4j.train.TrainingRun;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Trains. */
@Command(
    name = "train",
    mixinStandardHelpOptions = true,
    modelTransformer = ConfigFlags.class,
    customSynopsis = "dreambooth train [CONFIG] [--KEY VALUE]...",
    description =
        "Makes the class images that are missing, then trains on pairs of an instance picture and"
            + " one of its class images, and leaves a folder that diffusers loads.",
    footer = {
      "",
      "Ctrl-C saves the model and a checkpoint, and exits with 130.",
      "",
      "Examples:",
      "  dreambooth train src/examples/santa/config.yaml",
      "  dreambooth train config.yaml --max_train_steps 800 --seed 7",
      "  dreambooth train config.yaml --dry-run --train_batch_size 4 --resolution 768",
      "  dreambooth train config.yaml --resume_from_checkpoint latest"
    },
    sortOptions = false)
final class TrainCommand implements Callable<Integer> {
  @Mixin private final ConfigArguments arguments = new ConfigArguments();

  @Option(
      names = "--dry-run",
      description =
          "Print the configuration, what the pictures and class images are, and how much memory the"
              + " run will need on the CPU and on a GPU; load and write nothing.")
  boolean dryRun;

  @Mixin private final Force force = new Force();

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Spec
  CommandSpec spec;

  @Override
  public Integer call() {
    ConfigReader.Reading reading = arguments.reading();
    Config config = reading.config();
    if (dryRun) {
      PrintWriter out = spec.commandLine().getOut();
      out.print(ConfigWriter.toYaml(config));
      out.flush();
      Path output = config.output().outputDir();
      PrintStream err = System.err;
      try (RunReport report =
          new RunReport(err, output, reading.settings(), ProgressLine.Terminal.current(), true)) {
        MemoryForecast memory = new TrainingRun(config, report, () -> false).dryRun();
        MemoryTable.options(memory).forEach(out::println);
        out.flush();
      }
      return 0;
    }
    return ReportedRun.run(spec, reading, Origin.BASE_MODEL, force.given());
  }
}
