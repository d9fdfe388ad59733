package dreambooth4j.weights;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * Writes a trained model as a diffusers folder: the trained components' weights in F32, under the
 * names and in the layout that the base model has, and everything else as it is in the base model,
 * under the names that {@code from_pretrained} looks for when no variant is asked for.
 */
public final class ModelWriter implements Export {
  private final ModelSource base;

  /** A writer that takes from {@code base} what was not trained. */
  public ModelWriter(ModelSource base) {
    this.base = base;
  }

  @Override
  public boolean isIn(Path output) {
    return Files.exists(output.resolve("model_index.json"));
  }

  /**
   * Writes the folder: the groups' weights, as they are {@code saved}, instead of the base model's.
   * Wherever this fails or the process is killed, the folder holds the model that was there before
   * or this one, or {@link FolderChanges} are pending and it is read by nobody.
   *
   * @throws Problem when it cannot be written, or the base model can no longer be read
   */
  @Override
  public void write(Arena arena, List<Group> groups, Map<String, String> notes, Path output) {
    try (FolderChanges changes = new FolderChanges(output)) {
      hand(changes, arena, groups, notes, output);
      deleteOld(changes, output);
      changes.commit();
    }
  }

  @Override
  public Map<Path, Long> files(Arena arena, List<Group> groups, Path output) {
    FolderPlan plan = new FolderPlan();
    hand(plan, arena, groups, Map.of(), output);
    return plan.bytes();
  }

  private void hand(
      NewFiles files, Arena arena, List<Group> groups, Map<String, String> notes, Path output) {
    Map<Component, Group> trained = new EnumMap<>(Component.class);
    groups.forEach(group -> trained.put(group.component(), group));
    for (Group group : trained.values()) {
      Component component = group.component();
      SafetensorsWriter writer = writer(group);
      new TreeMap<>(notes).forEach(writer::metadata);
      files.add(
          output.resolve(component.folder()).resolve(component.weightsFile(null)),
          writer.body(arena));
    }
    base.copyTo(files, output, trained.keySet());
  }

  /**
   * What an earlier model has and this one has not: diffusers would read its shards in preference
   * to a new file, and its tokenizer's files beside others.
   */
  private static void deleteOld(FolderChanges changes, Path output) {
    for (Component component : Component.values()) {
      Path folder = output.resolve(component.folder());
      Stream.concat(component.files().stream(), weightFiles(component, folder))
          .map(folder::resolve)
          .filter(file -> Files.isRegularFile(file) && !changes.holds(file))
          .forEach(changes::delete);
    }
  }

  private static Stream<String> weightFiles(Component component, Path folder) {
    if (!component.hasWeights()) {
      return Stream.of();
    }
    String index = component.indexFile(null);
    Stream<String> names = Stream.of(component.weightsFile(null), index);
    try {
      Path file = folder.resolve(index);
      return Files.isRegularFile(file)
          ? Stream.concat(names, ShardedSafetensors.fileNames(file).stream())
          : names;
    } catch (Problem e) {
      return names; // an index that cannot be read names no shards
    }
  }

  private SafetensorsWriter writer(Group group) {
    Map<String, String> names;
    try (TensorSource source = base.weights(group.component())) {
      names = WeightNames.fileNames(group.component(), source);
    }
    SafetensorsWriter writer = new SafetensorsWriter();
    for (Parameter each : group.parameters().all()) {
      String name = names.getOrDefault(each.name(), each.name());
      writer.add(name, DType.F32, each, each.saved());
    }
    return writer;
  }
}
