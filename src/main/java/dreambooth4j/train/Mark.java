package dreambooth4j.train;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** A file in an output folder that says how far a run there has come, for a killed one cannot. */
enum Mark {
  /**
   * A new run has taken the folder and makes its class images. What an earlier run left is still in
   * its places, its checkpoints too: they are not this run's.
   */
  STARTING(
      ".starting",
      "A run was started here and has not come to its first step; train with resume_from_checkpoint latest goes on.\n"),

  /** A run has begun that has not yet saved its model and drawn its last samples. */
  UNFINISHED(
      ".unfinished",
      "A run has begun here and is not at its end; train with resume_from_checkpoint latest goes on.\n");

  private final String file;
  private final String says;

  Mark(String file, String says) {
    this.file = file;
    this.says = says;
  }

  /** Whether the folder has it. */
  boolean isIn(Path folder) {
    return Files.exists(in(folder));
  }

  /** Its place. */
  Path in(Path folder) {
    return folder.resolve(file);
  }

  /** What the file says to whoever opens it. */
  byte[] content() {
    return says.getBytes(StandardCharsets.UTF_8);
  }
}
