package dreambooth4j.weights;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.Problem;
import java.nio.file.Path;
import java.util.List;

/** The small files of a model's component, by name: its configuration, a tokenizer's vocabulary. */
public interface ComponentFiles {
  /** Those that lie in a folder, which need not be there. */
  static ComponentFiles in(Path folder) {
    return new FolderFiles(folder);
  }

  /** Whether there is a file of this name. */
  boolean has(String name);

  /**
   * The JSON object that a file holds.
   *
   * @throws Problem when there is no such file, or it holds anything else
   */
  ObjectNode json(String name);

  /**
   * The lines of a text file.
   *
   * @throws Problem when there is no such file, or it cannot be read
   */
  List<String> lines(String name);

  /** What to call a file of this name in messages: where it lies, or would. */
  String where(String name);
}
