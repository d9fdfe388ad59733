package dreambooth4j.weights;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

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

  /**
   * Writes the folder: the groups' weights, as they are {@code saved}, instead of the base model's.
   * All files are complete before the first takes its place: when this fails half-way, a model that
   * was there before is whole.
   *
   * @throws Problem when it cannot be written, or the base model can no longer be read
   */
  @Override
  public void write(Arena arena, List<Group> groups, Path output) {
    Map<Component, Group> trained = new EnumMap<>(Component.class);
    groups.forEach(group -> trained.put(group.component(), group));
    try (StagedFiles files = new StagedFiles()) {
      for (Group group : trained.values()) {
        Component component = group.component();
        SafetensorsWriter writer = writer(group);
        files.add(
            output.resolve(component.folder()).resolve(component.weightsFile(null)),
            channel -> writer.writeTo(channel, arena));
      }
      base.copyTo(files, output, trained.keySet());
      files.commit();
      trained.keySet().forEach(component -> removeOldIndex(component, output));
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

  /** diffusers would read the shards of an earlier model in preference to the new file. */
  private static void removeOldIndex(Component component, Path output) {
    Path old = output.resolve(component.folder()).resolve(component.indexFile(null));
    try {
      Files.deleteIfExists(old);
    } catch (IOException e) {
      throw new Problem(
          Problem.Kind.FAILED,
          old + ": is of an earlier model and cannot be removed; remove it by hand",
          e);
    }
  }
}
