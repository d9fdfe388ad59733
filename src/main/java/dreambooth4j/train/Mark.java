package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.RegularFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * A file in an output folder that says how far a run there has come, for a killed one cannot, and
 * which checkpoint it goes on from, if one.
 */
enum Mark {
  /**
   * A new run has taken the folder and makes its class images. What an earlier run left is still in
   * its places, its checkpoints too: they are not this run's.
   */
  STARTING(
      ".starting",
      "A run was started here and has not come to its first step; train with resume_from_checkpoint"
          + " latest goes on.\n"),

  /** A run has begun that has not yet saved its model and drawn its last samples. */
  UNFINISHED(
      ".unfinished",
      "A run has begun here and is not at its end; train with resume_from_checkpoint latest goes"
          + " on.\n");

  /** Before the checkpoint, to the end of the file. */
  private static final String FROM = "It goes on from ";

  private static final int LONGEST_BYTES = 1 << 16;

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

  /** What the file says to whoever opens it, of a run that goes on from a checkpoint or not. */
  byte[] content(Path folder, @Nullable Path from) {
    String source = from == null ? "" : FROM + within(folder, from) + "\n";
    return (says + source).getBytes(StandardCharsets.UTF_8);
  }

  /** A folder's own checkpoint by its name, so that the folder can be moved. */
  private static Path within(Path folder, Path from) {
    Path own = folder.resolve(String.valueOf(from.getFileName()));
    return CheckpointFolder.isOwn(folder, from) ? own.getFileName() : from.toAbsolutePath();
  }

  /**
   * The checkpoint that the run goes on from; null if it began with the base model.
   *
   * @throws Problem when the file cannot be read
   */
  @Nullable Path from(Path folder) {
    String text = RegularFile.text(in(folder), LONGEST_BYTES);
    int at = text.indexOf(FROM);
    try {
      return at < 0
          ? null
          : folder.resolve(text.substring(at + FROM.length()).replaceFirst("\\n\\z", ""));
    } catch (InvalidPathException e) {
      throw Problem.data(
          in(folder) + " is damaged: delete it, and name a checkpoint to go on from");
    }
  }
}
