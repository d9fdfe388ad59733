package dreambooth4j.report;

import dreambooth4j.Problem;
import dreambooth4j.events.EventFile;
import java.nio.file.Path;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A run's TensorBoard events, where it is asked for them. What cannot be written costs the events,
 * never the run.
 */
final class RunEvents implements AutoCloseable {
  private static final String FOLDER = "logs";

  private final Path output;
  private final Consumer<String> warnings;
  private @Nullable EventFile file;

  RunEvents(Path output, Consumer<String> warnings) {
    this.output = output;
    this.warnings = warnings;
  }

  /**
   * Opens the file.
   *
   * @param done steps that were done before
   * @param config the resolved configuration as YAML
   */
  void begin(int done, String config) {
    try {
      file = new EventFile(output.resolve(FOLDER), done);
    } catch (Problem e) {
      lost(e);
    }
    // Four spaces: Markdown takes it as it stands.
    keeping(events -> events.text(done, "config", config.indent(4)));
  }

  void step(int step, Map<String, Double> values) {
    keeping(events -> events.scalars(step, values));
  }

  void sample(int step, String name, byte[] png) {
    keeping(events -> events.picture(step, "samples/" + name, png));
  }

  private void keeping(Consumer<EventFile> work) {
    if (file != null) {
      try {
        work.accept(file);
      } catch (Problem e) {
        lost(e);
      }
    }
  }

  private void lost(Problem e) {
    warnings.accept(
        "TensorBoard events cannot be written any more, and the run continues without"
            + " them: "
            + e.getMessage());
    close();
  }

  @Override
  public void close() {
    if (file != null) {
      EventFile closed = file;
      file = null;
      try {
        closed.close();
      } catch (Problem e) {
        lost(e);
      }
    }
  }
}
