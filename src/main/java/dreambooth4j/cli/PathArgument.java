package dreambooth4j.cli;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import picocli.CommandLine.TypeConversionException;

/** Paths on the command line. */
final class PathArgument {
  private PathArgument() {}

  /**
   * The path that is written so.
   *
   * @throws TypeConversionException if the system has no such paths
   */
  static Path of(String text) {
    try {
      return Path.of(text);
    } catch (InvalidPathException e) {
      throw new TypeConversionException("'%s' is no path: %s".formatted(text, e.getReason()));
    }
  }
}
