package dreambooth4j.report;

import dreambooth4j.config.Config;
import dreambooth4j.data.Concept;
import dreambooth4j.prior.ClassImagePlan;
import dreambooth4j.train.MemoryForecast;
import dreambooth4j.train.RunListener;
import dreambooth4j.train.SamplePictures;
import dreambooth4j.train.Trainer;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.List;

/** Of a rank that others report for: it says what it saves, and nothing else. */
public class QuietReport implements RunListener {
  private final PrintStream err;
  private boolean saved;

  /** Says it here. */
  public QuietReport(PrintStream err) {
    this.err = err;
  }

  /** Where another rank is lost, this one may be the one that saves. */
  @Override
  public void saved(Path path, int step) {
    saved = true;
    err.printf("checkpoint after step %d: %s%n", step, path);
  }

  /** Whether a checkpoint was saved by this rank. */
  public boolean hasSaved() {
    return saved;
  }

  @Override
  public void step(Trainer.StepReport report) {}

  @Override
  public void made(int done, int missing) {}

  @Override
  public void cached(String what, int there, int all, Path folder) {}

  @Override
  public void encoded(String what, int done, int missing) {}

  @Override
  public void planned(Config config, List<Concept> concepts, ClassImagePlan plan) {}

  @Override
  public void paired(Config config, List<Concept> concepts, ClassImagePlan plan) {}

  @Override
  public void forecast(MemoryForecast memory) {}

  @Override
  public void ready(Beginning beginning) {}

  @Override
  public void ended(PeakMemory peak) {}

  @Override
  public void sampling(int step, int pictures) {}

  @Override
  public void sampled(int step, List<SamplePictures.Sample> samples) {}

  @Override
  public void validated(int step, Validated losses) {}

  @Override
  public void savedBest(Path path, int step) {}

  @Override
  public void endsEarly(int step, String why) {}

  @Override
  public void savedOnTheWay(Path path, int step) {}

  @Override
  public void savedResult(Path path, int step) {}

  @Override
  public void warning(String message) {}
}
