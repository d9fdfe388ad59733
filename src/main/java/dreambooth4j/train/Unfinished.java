package dreambooth4j.train;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The mark in an output folder that a run has begun there and has not yet saved its model and drawn
 * its last samples.
 */
final class Unfinished {
  /** The mark's file name. */
  static final String FILE = ".unfinished";

  private static final String SAYS =
      "A run has begun here and is not at its end; train with resume_from_checkpoint latest goes on.\n";

  private Unfinished() {}

  /** Whether a run has begun in the folder that is not at its end. */
  static boolean isIn(Path folder) {
    return Files.exists(folder.resolve(FILE));
  }

  /** What the file says to whoever opens it. */
  static byte[] content() {
    return SAYS.getBytes(StandardCharsets.UTF_8);
  }
}
