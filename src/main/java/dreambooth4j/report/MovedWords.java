package dreambooth4j.report;

import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.evaluate.BleedResult;
import dreambooth4j.evaluate.RunBleed;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.concurrent.CancellationException;
import java.util.function.BooleanSupplier;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/** How far words beside the subject moved in a run, measured after it with a progress. */
final class MovedWords {
  private final BooleanSupplier stop;
  private @Nullable ProgressLine progress;

  private MovedWords(BooleanSupplier stop) {
    this.stop = stop;
  }

  /**
   * Measures.
   *
   * @param result the model that the run saved
   * @param cost of the run, of which the measurement may take a small part
   * @throws Problem when it would take too long, memory is lacking, it was stopped, or something
   *     cannot be read
   */
  static BleedResult measured(
      Config config,
      Path result,
      RunBleed.Cost cost,
      PrintStream err,
      ProgressLine.@Nullable Terminal terminal,
      BooleanSupplier stop) {
    MovedWords words = new MovedWords(stop);
    IntConsumer asked = words::asked;
    try (RunBleed bleed = new RunBleed(config, result, asked)) {
      String refusal = bleed.refusal(cost);
      if (refusal != null) {
        throw new Problem(Problem.Kind.FAILED, refusal);
      }
      try (ProgressLine line = new ProgressLine(err, "bleed", bleed.asked(), terminal)) {
        words.progress = line;
        return bleed.measure();
      }
    } catch (CancellationException e) {
      throw new Problem(Problem.Kind.FAILED, "it was stopped", e);
    }
  }

  private void asked(int done) {
    if (stop.getAsBoolean()) {
      throw new CancellationException();
    }
    if (progress != null) {
      progress.at(done);
    }
  }
}
