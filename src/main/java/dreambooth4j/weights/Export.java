package dreambooth4j.weights;

import dreambooth4j.engine.Arena;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** How groups that have trained are saved: as a model, or as the adapters around one. */
@FunctionalInterface
public interface Export {
  /** For groups that nobody saves: it throws. */
  Export NONE =
      (files, arena, groups, notes, output) -> {
        throw new IllegalStateException("these weights are not to be saved");
      };

  /**
   * Hands out the files that hold what the groups have learnt, as {@link Group#parameters} has it
   * {@code saved}.
   *
   * @param files takes them: to write them, or to count them
   * @param arena holds one tensor at a time where its order or type must change
   * @param groups all those of one model that are saved in this way
   * @param notes what else is to be known of the weights, by name: written into their file
   * @param output the folder that the files are to be in
   * @throws dreambooth4j.Problem when one cannot be taken, or what it is made from cannot be read
   */
  void hand(
      NewFiles files, Arena arena, List<Group> groups, Map<String, String> notes, Path output);

  /**
   * What there is to be used once they are written: the folder itself, or a file in it.
   *
   * @param output as {@link #hand} is given it
   */
  default Path result(Path output) {
    return output;
  }
}
