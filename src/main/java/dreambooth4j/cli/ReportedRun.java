package dreambooth4j.cli;

import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.config.ConfigReader;
import dreambooth4j.distributed.Launch;
import dreambooth4j.distributed.Ranks;
import dreambooth4j.page.LivePage;
import dreambooth4j.pipeline.Origin;
import dreambooth4j.report.ProgressLine;
import dreambooth4j.report.QuietReport;
import dreambooth4j.report.RunReport;
import dreambooth4j.train.TrainingRun;
import dreambooth4j.web.MonitorServer;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;

/** A training run of a command: reported on standard error, and saved when it is interrupted. */
final class ReportedRun {
  private ReportedRun() {}

  /**
   * Runs it, and returns the command's exit code.
   *
   * @param reading the configuration and where its values come from
   * @param origin what the weights begin as
   * @param force begins it even if it needs more memory than there is
   */
  static int run(CommandSpec spec, ConfigReader.Reading reading, Origin origin, boolean force) {
    return run(spec, reading, origin, force, Ranks.alone());
  }

  /** As above, as one of these ranks. */
  static int run(
      CommandSpec spec, ConfigReader.Reading reading, Origin origin, boolean force, Ranks ranks) {
    Config config = reading.config();
    PrintStream err = System.err;
    Launch launch = ranks.size() > 1 ? Launch.of(System.getenv()) : Launch.ALONE;
    Invocation invocation = Invocation.of(spec);
    if (!ranks.isFirst()) {
      invocation.interrupt.listen(Interrupt.SAVED_BY_RANK_0);
      QuietReport quiet = new QuietReport(err);
      try {
        return code(
            new TrainingRun(config, origin, quiet, invocation.interrupt::requested, ranks)
                .run(force));
      } finally {
        if (quiet.hasSaved()) {
          NextSteps.printResumed(err, arguments(spec), true, launch);
        }
      }
    }
    invocation.interrupt.listen(Interrupt.SAVING);
    RunReport report =
        new RunReport(
            err,
            config.output().outputDir(),
            reading.settings(),
            ProgressLine.Terminal.current(),
            invocation.verbose);
    boolean done = false;
    boolean diverged = false;
    LivePage page = new LivePage(config.output().outputDir());
    try (MonitorServer monitor = monitor(config, page)) {
      if (monitor != null) {
        report.monitored(page, monitor.address());
      }
      done =
          new TrainingRun(config, origin, report, invocation.interrupt::requested, ranks)
              .run(force);
      report.done(done);
    } catch (Problem e) {
      diverged = e.kind() == Problem.Kind.DIVERGED; // and would again: a run repeats itself
      throw report.failed(e);
    } finally {
      report.close();
      Path result = report.outcome().result();
      if (done && origin == Origin.BASE_MODEL && result != null) {
        invocation.interrupt.say(Interrupt.SAVED);
        String command = NextSteps.measuring(config, result);
        report.measureBleed(config, command, invocation.interrupt::requested);
      }
      boolean saved = invocation.interrupt.requested() || report.outcome().checkpointSaved();
      if (done || (saved && !diverged)) {
        NextSteps.print(err, config, report.outcome(), arguments(spec), launch, done);
      }
    }
    return code(done);
  }

  private static List<String> arguments(CommandSpec spec) {
    return spec.root().commandLine().getParseResult().originalArgs();
  }

  private static int code(boolean done) {
    return done ? 0 : Interrupt.EXIT_CODE;
  }

  private static @Nullable MonitorServer monitor(Config config, LivePage page) {
    return config.report().monitor()
        ? new MonitorServer(page, config.report().monitorPort())
        : null;
  }
}
