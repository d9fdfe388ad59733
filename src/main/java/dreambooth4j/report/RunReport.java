package dreambooth4j.report;

import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.config.ConfigWriter;
import dreambooth4j.config.Setting;
import dreambooth4j.data.Concept;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.ProcessMemory;
import dreambooth4j.engine.kernel.CudaDevice;
import dreambooth4j.evaluate.BleedResult;
import dreambooth4j.evaluate.RunBleed;
import dreambooth4j.page.LivePage;
import dreambooth4j.page.RunRecord;
import dreambooth4j.pipeline.TextEncoding;
import dreambooth4j.prior.ClassImagePlan;
import dreambooth4j.prior.PriorPools;
import dreambooth4j.train.MemoryForecast;
import dreambooth4j.train.RunListener;
import dreambooth4j.train.SamplePictures;
import dreambooth4j.train.Trainer;
import dreambooth4j.web.ReviewFile;
import dreambooth4j.weights.StagedFiles;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalLong;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Shows a training run on standard error and keeps its metrics and samples in the output folder.
 */
public final class RunReport implements RunListener, AutoCloseable {
  /** Asking the system takes a quarter of a millisecond, which small models' steps would feel. */
  private static final long MEMORY_NANOSECONDS = 500_000_000;

  private final PrintStream err;
  private final Path output;
  private final ProgressLine.@Nullable Terminal terminal;
  private final boolean verbose;
  private final OptionalLong memoryBefore = ProcessMemory.now();
  private @Nullable ProgressLine progress;
  private @Nullable ClassImageProgress making;
  private @Nullable MetricsFile metrics;

  /** Whether the metrics could not be written the last time. */
  private boolean metricsLost;

  private RunListener.@Nullable PeakMemory peak;
  private @Nullable MemoryForecast forecast;
  private @Nullable TextEncoding encoding;
  private RunOutcome outcome = new RunOutcome("", "", false, false, null, false);
  private final RunRecorder recorder;
  private RunRecord.State state = RunRecord.State.FAILED;
  private String ending = "";
  private @Nullable LivePage live;
  private @Nullable RunEvents events;
  private String configuration = "";
  private LongSupplier tensorBytes = () -> 0;
  private OptionalLong memoryHeld = OptionalLong.empty();
  private long memoryAsked;
  private final long began = System.nanoTime();
  private double stepSeconds;
  private long stepPictures;

  /**
   * Reports on a run that writes to {@code output}.
   *
   * @param settings of its configuration, for its page
   * @param terminal as the progress takes it
   * @param verbose whether the memory plan is shown in full where the run fits with ease
   */
  public RunReport(
      PrintStream err,
      Path output,
      List<Setting> settings,
      ProgressLine.@Nullable Terminal terminal,
      boolean verbose) {
    this.recorder = new RunRecorder(output, settings);
    this.err = err;
    this.output = output;
    this.terminal = terminal;
    this.verbose = verbose;
  }

  /** What there is until now. */
  public RunOutcome outcome() {
    return outcome;
  }

  /**
   * The run is shown by this page while it goes.
   *
   * @param address what to open in a browser
   */
  public void monitored(LivePage by, String address) {
    live = by;
    say("Monitor: %s", address);
  }

  /** The run has ended in order: with all of its steps, or where it was asked to. */
  public void done(boolean complete) {
    state = complete ? RunRecord.State.COMPLETE : RunRecord.State.STOPPED;
  }

  /**
   * A problem has ended the run.
   *
   * @return it as its user is told: a problem of memory with how much the run needs, what there was
   *     and what would fit, once that was planned; another as it is
   */
  public Problem failed(Problem problem) {
    Problem told = forecast == null ? problem : MemoryAdvice.explained(problem, forecast);
    boolean diverged = told.kind() == Problem.Kind.DIVERGED;
    state = diverged ? RunRecord.State.DIVERGED : RunRecord.State.FAILED;
    ending = String.valueOf(told.getMessage());
    return told;
  }

  @Override
  public void planned(Config config, List<Concept> concepts, ClassImagePlan plan) {
    encoding = TextEncoding.of(config.model());
    if (config.report().tensorboard()) {
      events = new RunEvents(output, this::warning);
      configuration = ConfigWriter.toYaml(config);
    }
    Concept main = concepts.get(0);
    String asked = main.config().samples().prompt();
    String prompt = asked.isEmpty() ? main.pictures().get(0).instancePrompt() : asked;
    outcome = new RunOutcome(main.config().name(), prompt, false, false, null, false);
    for (Concept concept : concepts) {
      long buckets = concept.pictures().stream().map(p -> p.bucket()).distinct().count();
      say(
          "Concept %s: %s of %s in %s",
          concept.config().name(),
          counted(concept.pictures().size(), "picture"),
          counted(buckets, "size"),
          concept.config().instanceDataDir());
      concept.notes().forEach(note -> say("  %s", note));
    }
    if (config.prior().remembers()) {
      say(
          "Class images: none, the prior loss compares with what the base model predicts before the"
              + " training, %s at most, weight %s",
          counted(concepts.stream().mapToInt(PriorPools::predictions).sum(), "prediction"),
          config.prior().priorLossWeight());
    } else if (config.prior().predicts()) {
      say(
          "Class images: none, the prior loss compares with the base model's predictions, weight"
              + " %s",
          config.prior().priorLossWeight());
    } else if (plan.needs().isEmpty()) {
      say("Class images: none, there is no prior preservation");
    } else {
      say(
          "Class images: %d there, %d to make, prior loss weight %s",
          plan.present(), plan.missing(), config.prior().priorLossWeight());
      plan.skipped().forEach((reason, count) -> say("  not used: %d, %s", count, reason));
    }
  }

  @Override
  public void made(int done, int missing) {
    if (making == null) {
      rest();
      making = new ClassImageProgress(err, terminal);
    }
    making.made(done, missing);
    if (done == missing) {
      endMaking();
    }
  }

  @Override
  public void lessAtOnce(int count) {
    if (making != null) {
      making.lessAtOnce(count);
    }
  }

  private void endMaking() {
    if (making != null) {
      making.close();
      making = null;
    }
  }

  @Override
  public void cached(String what, int there, int all, Path folder) {
    endMaking();
    endProgress();
    String title = what.substring(0, 1).toUpperCase(Locale.ROOT) + what.substring(1);
    say("%s: %d of %d from the cache in %s, %d to encode", title, there, all, folder, all - there);
  }

  @Override
  public void encoded(String what, int done, int missing) {
    progress(what, done, missing);
  }

  private void progress(String task, int done, int total) {
    if (progress == null) {
      progress = new ProgressLine(err, task, total, terminal);
    }
    progress.at(done);
    if (done == total) {
      endProgress();
    }
  }

  @Override
  public void paired(Config config, List<Concept> concepts, ClassImagePlan plan) {
    recorder.paired(plan);
    if (plan.needs().isEmpty()) {
      return;
    }
    Path page = output.resolve("class_images.html");
    try {
      ReviewFile.write(page, config, concepts, plan);
      outcome = outcome.withPage();
    } catch (Problem e) {
      warning("no %s: %s".formatted(page.getFileName(), e.getMessage()));
    }
  }

  @Override
  public void forecast(MemoryForecast memory) {
    forecast = memory;
    MemoryTable.plan(memory, verbose).forEach(line -> say("%s", line));
  }

  @Override
  public void ready(RunListener.Beginning beginning) {
    endMaking();
    say(
        "Training: %d steps, %d an epoch, from step %d",
        beginning.steps(), beginning.stepsPerEpoch(), beginning.done() + 1);
    say("Computed in %s", beginning.precision());
    if (beginning.averages()) {
      say("Samples and the saved model use the averaged weights (use_ema)");
    }
    keepingMetrics(
        () -> metrics = new MetricsFile(output.resolve("metrics.jsonl"), beginning.done()));
    tensorBytes = beginning.tensorBytes();
    if (events != null) {
      events.begin(beginning.done(), configuration);
    }
    keepingPage(
        () -> {
          recorder.begin(outcome.name(), beginning, forecast, memoryBefore);
          if (live != null) {
            live.begin();
          }
        });
    progress = new ProgressLine(err, "step", beginning.steps(), terminal);
  }

  /** The page is worth no run. */
  private void keepingPage(Runnable work) {
    try {
      work.run();
    } catch (Problem e) {
      warning("the run's page is not written: " + e.getMessage());
    }
  }

  @Override
  public void ended(RunListener.PeakMemory memory) {
    peak = memory;
  }

  @Override
  public void step(Trainer.StepReport report) {
    Double scale = report.lossScale();
    if (report.skipped() && scale != null) {
      say(
          "step %d is skipped: with the loss scale %s its fp16 gradients are not finite",
          report.step(), scale);
    }
    stepSeconds += report.seconds();
    stepPictures += report.pictures();
    measured(report.step(), file -> file.add(report, memory()));
    if (progress != null) {
      progress.step(report);
    }
  }

  /** What the GPU, or on the CPU this process, holds; asked for twice a second at most. */
  private MetricsFile.Memory memory() {
    long now = System.nanoTime();
    if (memoryAsked == 0 || now - memoryAsked > MEMORY_NANOSECONDS) {
      boolean gpu = forecast != null && forecast.plan().device() == Device.CUDA;
      memoryHeld = gpu ? OptionalLong.of(CudaDevice.peakBytes()) : ProcessMemory.now();
      memoryAsked = now;
    }
    return new MetricsFile.Memory(memoryHeld, tensorBytes.getAsLong());
  }

  /** Numbers of a step, for the metrics and for who else is told. */
  private void measured(int step, Function<MetricsFile, Map<String, Double>> line) {
    MetricsFile file = metrics;
    if (file != null) {
      keepingMetrics(
          () -> {
            Map<String, Double> numbers = line.apply(file);
            if (events != null) {
              events.step(step, numbers);
            }
          });
    }
  }

  /** A full disk costs the lines that do not fit, or the file, never the run. */
  private void keepingMetrics(Runnable work) {
    try {
      work.run();
      metricsLost = false;
    } catch (Problem e) {
      if (!metricsLost) {
        warning("metrics cannot be written, and the run continues without them: " + e.getMessage());
      }
      metricsLost = true;
    }
  }

  @Override
  public void sampling(int step, int pictures) {
    say("Drawing %s after step %d ...", counted(pictures, "sample"), step);
  }

  @Override
  public void sampled(int step, List<SamplePictures.Sample> samples) {
    Map<String, byte[]> sheets = new LinkedHashMap<>();
    try (StagedFiles files = new StagedFiles()) {
      for (SamplePictures.Sample sample : samples) {
        PictureParameters how =
            new PictureParameters(
                sample.request(),
                sample.sampler(),
                encoding == null ? TextEncoding.USUAL : encoding,
                sample.seed(),
                String.valueOf(output.getFileName()),
                sample.loras(),
                step);
        byte[] sheet = PictureFiles.sheet(sample.pictures(), how);
        sheets.put(sample.name(), sheet);
        files.add(SamplePictures.file(output, step, sample.name()), sheet);
      }
      files.commit();
    }
    if (events != null) {
      RunEvents to = events;
      sheets.forEach((name, sheet) -> to.sample(step, name, sheet));
    }
    outcome = outcome.withSamples();
  }

  @Override
  public void validated(int step, RunListener.Validated losses) {
    Double prior = losses.prior();
    say(
        "Validation after step %d: loss %.4f%s",
        step,
        losses.instance(),
        prior == null ? "" : String.format(Locale.ROOT, ", of class images %.4f", prior));
    measured(step, file -> file.add(step, losses));
  }

  @Override
  public void savedBest(Path path, int step) {
    say("Best so far, after step %d: %s", step, path);
  }

  @Override
  public void endsEarly(int step, String why) {
    say("The run ends after step %d: %s", step, why);
  }

  @Override
  public void saved(Path path, int step) {
    say("Saved after step %d: %s", step, path);
    outcome = outcome.withCheckpoint();
  }

  @Override
  public void savedOnTheWay(Path path, int step) {
    say("Saved after step %d: %s", step, path);
  }

  @Override
  public void savedResult(Path path, int step) {
    say("Saved after step %d: %s", step, path);
    outcome = outcome.with(path);
  }

  @Override
  public void warning(String message) {
    recorder.warning(message);
    say("warning: %s", message);
  }

  /** Says what the run's peak memory was, and leaves its page. */
  @Override
  public void close() {
    endMaking();
    endProgress();
    if (metrics != null) {
      keepingMetrics(metrics::close);
    }
    if (events != null) {
      events.close();
    }
    if (peak != null) {
      say("Peak memory: tensors %s%s", ProcessMemory.shown(peak.tensorBytes()), beside(peak));
    }
    keepingPage(
        () -> {
          Path page = recorder.end(state, ending);
          if (page != null) {
            say("Report: %s", page);
          }
        });
  }

  /**
   * Measures what the run moved besides its subject, and says it in a line and on its page; to be
   * called after {@link #close}, when the run's memory is free again. What stands in the way costs
   * this measurement alone.
   *
   * @param command that measures more of it, for a shell
   * @param stop ends it
   */
  public void measureBleed(Config config, String command, BooleanSupplier stop) {
    if (stepPictures > 0) {
      double seconds = (System.nanoTime() - began) / 1e9;
      measureBleed(config, command, new RunBleed.Cost(seconds, stepSeconds / stepPictures), stop);
    }
  }

  void measureBleed(Config config, String command, RunBleed.Cost cost, BooleanSupplier stop) {
    Path result = outcome.result();
    if (!config.report().bleed() || result == null) {
      return;
    }
    try {
      BleedResult moved = MovedWords.measured(config, result, cost, err, terminal, stop);
      say("%s; to measure more: %s", BleedFiles.summary(moved), command);
      keepingPage(() -> recorder.moved(moved));
    } catch (Problem e) {
      String why = String.valueOf(e.getMessage()).replaceAll("\\.$", "");
      say("How far other words moved is not measured: %s; to measure it: %s", why, command);
    }
  }

  private String beside(RunListener.PeakMemory of) {
    if (of.gpuBytes().isPresent()) {
      return ", of the GPU " + ProcessMemory.shown(of.gpuBytes().getAsLong());
    }
    OptionalLong process = ProcessMemory.peak();
    return process.isPresent() && memoryBefore.isPresent()
        ? ", of the process %s, of which %s were there before the run"
            .formatted(
                ProcessMemory.shown(process.getAsLong()),
                ProcessMemory.shown(memoryBefore.getAsLong()))
        : "";
  }

  private static String counted(long count, String what) {
    return count + " " + what + (count == 1 ? "" : "s");
  }

  private void endProgress() {
    rest();
    progress = null;
  }

  /** Leaves the progress as it stands; it may be drawn again below. */
  private void rest() {
    if (progress != null) {
      progress.close();
    }
  }

  private void say(String format, Object... arguments) {
    String line = String.format(Locale.ROOT, format, arguments);
    if (progress != null) {
      progress.say(line);
    } else {
      err.println(ProgressLine.Terminal.shown(terminal, line));
    }
  }
}
