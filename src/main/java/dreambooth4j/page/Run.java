package dreambooth4j.page;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A run as its folder holds it.
 *
 * @param folder its output_dir
 */
record Run(Path folder, RunRecord record, Metrics metrics, List<Samples> samples) {
  /**
   * Reads it.
   *
   * @throws dreambooth4j.Problem where there is no run, or it cannot be read
   */
  static Run read(Path folder) {
    RunRecord record = RunRecord.read(folder);
    Metrics metrics = new Metrics(folder);
    metrics.update();
    return new Run(folder, record, metrics, Samples.in(folder));
  }

  /** A file that its record names; null if that is no path here. */
  @Nullable Path file(String name) {
    try {
      return folder.resolve(name);
    } catch (InvalidPathException e) {
      return null; // from another system, or made up
    }
  }

  /** Steps done. */
  int done() {
    double[] steps = metrics.steps();
    return steps.length == 0 ? record.resumedAt() : (int) steps[steps.length - 1];
  }
}
