package dreambooth4j.report;

import dreambooth4j.Printable;
import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.data.Concept;
import dreambooth4j.data.Grid;
import dreambooth4j.data.Pixels;
import dreambooth4j.data.Png;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.ProcessMemory;
import dreambooth4j.engine.kernel.CudaDevice;
import dreambooth4j.prior.ClassImagePlan;
import dreambooth4j.train.MemoryForecast;
import dreambooth4j.train.SamplePictures;
import dreambooth4j.train.Trainer;
import dreambooth4j.train.TrainingRun;
import dreambooth4j.web.ReviewFile;
import dreambooth4j.weights.StagedFiles;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * Shows a training run on standard error and keeps its metrics and samples in the output folder.
 */
public final class RunReport implements TrainingRun.Listener, AutoCloseable {
  private final PrintStream err;
  private final Path output;
  private final ProgressLine.@Nullable Terminal terminal;
  private final OptionalLong memoryBefore = ProcessMemory.now();
  private @Nullable ProgressLine progress;
  private @Nullable ClassImageProgress making;
  private @Nullable MetricsFile metrics;
  private @Nullable Arena run;

  /** Reports on a run that writes to {@code output}; {@code terminal} as the progress takes it. */
  public RunReport(PrintStream err, Path output, ProgressLine.@Nullable Terminal terminal) {
    this.err = err;
    this.output = output;
    this.terminal = terminal;
  }

  @Override
  public void planned(Config config, List<Concept> concepts, ClassImagePlan plan) {
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
    if (plan.needs().isEmpty()) {
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
    if (plan.needs().isEmpty()) {
      return;
    }
    Path page = output.resolve("class_images.html");
    try {
      ReviewFile.write(page, config, concepts, plan);
    } catch (Problem e) {
      warning("no %s: %s".formatted(page.getFileName(), e.getMessage()));
    }
  }

  @Override
  public void forecast(MemoryForecast memory) {
    MemoryTable.plan(memory).forEach(line -> say("%s", line));
  }

  @Override
  public void ready(Trainer trainer, Arena arena) {
    endMaking();
    run = arena;
    say(
        "Training: %d steps, %d an epoch, from step %d",
        trainer.steps(), trainer.stepsPerEpoch(), trainer.done() + 1);
    say("Computed in %s", trainer.precision());
    if (trainer.averages()) {
      say("The average of the weights is what is sampled and saved");
    }
    metrics = new MetricsFile(output.resolve("metrics.jsonl"), trainer.done());
    arena.resetPeak();
    progress = new ProgressLine(err, "step", trainer.steps(), terminal);
  }

  @Override
  public void step(Trainer.StepReport report) {
    Double scale = report.lossScale();
    if (report.skipped() && scale != null) {
      say(
          "step %d is skipped: with the loss scale %s its fp16 gradients are not finite",
          report.step(), scale);
    }
    if (metrics != null) {
      metrics.add(report);
    }
    if (progress != null) {
      progress.step(report);
    }
  }

  @Override
  public void sampling(int step, int pictures) {
    say("Drawing %s after step %d ...", counted(pictures, "sample"), step);
  }

  @Override
  public void sampled(int step, List<SamplePictures.Sample> samples) {
    Path folder = output.resolve("samples");
    try (StagedFiles files = new StagedFiles()) {
      for (SamplePictures.Sample sample : samples) {
        String name = String.format(Locale.ROOT, "%06d-%s", step, sample.name());
        List<Pixels> pictures = new ArrayList<>(sample.pictures());
        files.add(folder.resolve(name + ".png"), Png.encode(Grid.of(pictures, pictures.size())));
      }
      files.commit();
    }
  }

  @Override
  public void saved(Path path, int step) {
    say("Saved after step %d: %s", step, path);
  }

  @Override
  public void warning(String message) {
    say("warning: %s", message);
  }

  /** The last line: what the run's peak memory was. */
  @Override
  public void close() {
    endMaking();
    endProgress();
    if (metrics != null) {
      metrics.close();
    }
    if (run != null && run.device() == Device.CUDA) {
      say(
          "Peak memory: tensors %s, of the GPU %s",
          ProcessMemory.shown(run.peakBytes()), ProcessMemory.shown(CudaDevice.peakBytes()));
    } else if (run != null) {
      OptionalLong peak = ProcessMemory.peak();
      String process =
          peak.isPresent() && memoryBefore.isPresent()
              ? ", of the process %s, of which %s were there before the run"
                  .formatted(
                      ProcessMemory.shown(peak.getAsLong()),
                      ProcessMemory.shown(memoryBefore.getAsLong()))
              : "";
      say("Peak memory: tensors %s%s", ProcessMemory.shown(run.peakBytes()), process);
    }
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
      err.println(Printable.text(line));
    }
  }
}
