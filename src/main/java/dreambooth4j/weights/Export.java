package dreambooth4j.weights;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** How groups that have trained are saved: as a model, or as the adapters around one. */
@FunctionalInterface
public interface Export {
  /** For groups that nobody saves: it throws. */
  Export NONE =
      (arena, groups, notes, output) -> {
        throw new IllegalStateException("these weights are not to be saved");
      };

  /**
   * Writes what the groups have learnt, as {@link Group#parameters} has it {@code saved}; whole or
   * not at all.
   *
   * @param arena holds one tensor at a time where its order or type must change
   * @param groups all those of one model that are saved in this way
   * @param notes what else is to be known of the weights, by name: written into their file
   * @param output a folder, which need not be there
   * @throws dreambooth4j.Problem when it cannot be written
   */
  void write(Arena arena, List<Group> groups, Map<String, String> notes, Path output);

  /**
   * What there is to be used once it is written: the folder itself, or a file in it.
   *
   * @param output as {@link #write} is given it
   */
  default Path result(Path output) {
    return output;
  }

  /** Whether such a result lies there, of this run or an earlier one. */
  default boolean isIn(Path output) {
    return Files.exists(result(output));
  }

  /**
   * The files that {@link #write} would write now, and about how many bytes each has: for whoever
   * looks whether there is room. Here it is one file of all weights in F32.
   *
   * @throws dreambooth4j.Problem when what they are made from can no longer be read
   */
  default Map<Path, Long> files(Arena arena, List<Group> groups, Path output) {
    long count = groups.stream().mapToLong(group -> group.parameters().count()).sum();
    return Map.of(output.resolve("weights"), count * DType.F32.bytes());
  }
}
