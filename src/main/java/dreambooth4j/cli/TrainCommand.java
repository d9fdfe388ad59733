package dreambooth4j.cli;

import dreambooth4j.config.Config;
import dreambooth4j.config.ConfigReader;
import dreambooth4j.config.ConfigWriter;
import dreambooth4j.distributed.LocalRanks;
import dreambooth4j.distributed.Ranks;
import dreambooth4j.pipeline.Origin;
import dreambooth4j.report.MemoryTable;
import dreambooth4j.report.ProgressLine;
import dreambooth4j.report.RunReport;
import dreambooth4j.train.MemoryForecast;
import dreambooth4j.train.TrainingRun;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
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
  private static final String NPROC = "--nproc";

  @Mixin private final ConfigArguments arguments = new ConfigArguments();

  @Option(
      names = "--dry-run",
      description =
          "Print the configuration, what the pictures and class images are, and how much memory the"
              + " run will need on the CPU and on a GPU; load and write nothing.")
  boolean dryRun;

  @Option(
      names = NPROC,
      paramLabel = "N",
      description =
          "Train with N processes on this machine, each of which computes its part of every step: on"
              + " GPUs one each. For several machines start the ranks with torchrun; see"
              + " docs/distributed.md.")
  @Nullable Integer processes;

  @Mixin private final Force force = new Force();

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Spec
  CommandSpec spec;

  @Override
  public Integer call() {
    if (processes != null && !dryRun) {
      Invocation invocation = Invocation.of(spec);
      LocalRanks ranks = new LocalRanks(processes, System.out, System.err);
      invocation.interrupt.listen(Interrupt.ENDING_RANKS);
      List<String> arguments = new ArrayList<>(List.of(invocation.getClass().getName()));
      arguments.addAll(withoutProcesses(spec.root().commandLine().getParseResult().originalArgs()));
      return ranks.run(arguments, invocation.interrupt::requested);
    }
    return train();
  }

  /** Arguments of this command without the number of processes. */
  static List<String> withoutProcesses(List<String> arguments) {
    List<String> others = new ArrayList<>(arguments);
    int at = others.indexOf(NPROC);
    if (at >= 0) {
      others.subList(at, at + 2).clear();
    }
    others.removeIf(each -> each.startsWith(NPROC + "="));
    return others;
  }

  private int train() {
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
        Ranks ranks = Ranks.planned(processes == null ? 1 : LocalRanks.requireCount(processes));
        MemoryForecast memory =
            new TrainingRun(config, Origin.BASE_MODEL, report, () -> false, ranks).dryRun();
        MemoryTable.options(memory).forEach(out::println);
        out.flush();
      }
      return 0;
    }
    try (Ranks ranks = Ranks.of(System.getenv())) {
      return ReportedRun.run(spec, reading, Origin.BASE_MODEL, force.given(), ranks);
    }
  }
}
