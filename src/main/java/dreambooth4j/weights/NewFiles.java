package dreambooth4j.weights;

import java.nio.file.Path;

/** Takes the files of a model that is to lie in a folder: to write them, or to count them. */
public interface NewFiles {
  /**
   * Takes a file.
   *
   * @throws dreambooth4j.Problem when it cannot be written, or what is no file is in its place
   */
  void add(Path target, StagedFiles.Body body);

  /**
   * Takes a copy of {@code source}, unless {@code target} has the same content already.
   *
   * @throws dreambooth4j.Problem when one cannot be read, or the copy cannot be written
   */
  void copy(Path source, Path target);

  /** Says where a file may come later: what is there of somebody else's would be written over. */
  default void reserve(Path target) {}
}
