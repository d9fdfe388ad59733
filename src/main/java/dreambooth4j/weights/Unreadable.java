package dreambooth4j.weights;

import dreambooth4j.Problem;
import java.io.IOException;
import java.nio.file.Path;

/** What is said of a file that the system does not read. */
final class Unreadable {
  private Unreadable() {}

  static Problem file(Path path, IOException e) {
    return new Problem(Problem.Kind.DATA, path + ": cannot be read: " + e, e);
  }
}
