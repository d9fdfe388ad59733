package dreambooth4j.report;

import dreambooth4j.prior.ClassImageGenerator;
import java.io.PrintStream;
import org.jspecify.annotations.Nullable;

/** Shows how the making of class images goes, and at the end how many were made how fast. */
public final class ClassImageProgress implements ClassImageGenerator.Listener, AutoCloseable {
  private final PrintStream err;
  private final ProgressLine.@Nullable Terminal terminal;
  private @Nullable ProgressLine line;

  /** {@code terminal} is null where there is none to draw on. */
  public ClassImageProgress(PrintStream err, ProgressLine.@Nullable Terminal terminal) {
    this.err = err;
    this.terminal = terminal;
  }

  @Override
  public void made(int done, int missing) {
    if (line == null) {
      line = ProgressLine.ofClassImages(err, missing, terminal, System::nanoTime);
    }
    line.at(done);
  }

  @Override
  public void lessAtOnce(int count) {
    if (line != null) {
      line.say("Out of memory: class images are drawn with fewer at a time, " + count);
    }
  }

  @Override
  public void close() {
    if (line != null) {
      line.say("Made " + line.summary());
      line = null;
    }
  }
}
