package dreambooth4j.weights;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Writes a trained model as a diffusers folder: the trained components' weights in F32, under the
 * names and in the layout that the base model has, and everything else as it is in the base model,
 * under the names that {@code from_pretrained} looks for when no variant is asked for.
 */
public final class ModelWriter implements Export {
  private final ModelFolder base;

  /** A writer that takes from {@code base} what was not trained. */
  public ModelWriter(ModelFolder base) {
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
      Set<Component> written = EnumSet.noneOf(Component.class);
      for (Component component : Component.values()) {
        if (!base.has(component)) {
          continue;
        }
        Path folder = output.resolve(component.folder());
        for (String name : component.files()) {
          Path source = base.folder(component).resolve(name);
          if (Files.isRegularFile(source)) {
            copy(files, source, folder.resolve(name));
          }
        }
        Group group = trained.get(component);
        if (group != null) {
          Path target = folder.resolve(component.weightsFile(null));
          SafetensorsWriter writer = writer(group);
          files.add(target, channel -> writer.writeTo(channel, arena));
        } else if (component.hasWeights()) {
          copyWeights(files, component, folder);
        }
        written.add(component);
      }
      index(files, output.resolve(ModelFolder.INDEX), written);
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

  private void copyWeights(StagedFiles files, Component component, Path folder) {
    Path source = base.weightsFile(component);
    if (source == null) {
      return;
    }
    if (!source.toString().endsWith(".json")) {
      files.copy(source, folder.resolve(component.weightsFile(null)));
      return;
    }
    for (String shard : ShardedSafetensors.fileNames(source)) {
      files.copy(source.resolveSibling(shard), folder.resolve(shard));
    }
    files.copy(source, folder.resolve(component.indexFile(null)));
  }

  /**
   * Copies a file as it is, but for one thing: transformers 5 loads a model in the type that its
   * configuration names, and a half-precision text encoder does not run with a UNet in F32.
   */
  private static void copy(StagedFiles files, Path source, Path target) {
    if (target.endsWith(Path.of(Component.TEXT_ENCODER.folder(), "config.json"))) {
      ObjectNode stored = JsonFile.read(source);
      ObjectNode config = stored.deepCopy();
      for (String key : new String[] {"dtype", "torch_dtype"}) {
        if (config.has(key)) {
          config.put(key, "float32");
        }
      }
      if (!config.equals(stored)) {
        addJson(files, target, config);
        return;
      }
    }
    files.copy(source, target);
  }

  /** diffusers refuses a folder whose index names components that are not there. */
  private void index(StagedFiles files, Path target, Set<Component> written) {
    ObjectNode index = base.index();
    for (var each : base.index().properties()) {
      boolean isThere = written.stream().anyMatch(c -> c.folder().equals(each.getKey()));
      boolean isNamed = each.getValue().isArray() && each.getValue().path(0).isTextual();
      if (isNamed && !isThere) {
        index.putArray(each.getKey()).addNull().addNull();
      }
    }
    if (index.equals(base.index())) {
      files.copy(base.path().resolve(ModelFolder.INDEX), target);
      return;
    }
    if (!written.contains(Component.SAFETY_CHECKER)) {
      index.put("requires_safety_checker", false);
    }
    addJson(files, target, index);
  }

  private static void addJson(StagedFiles files, Path target, ObjectNode json) {
    try {
      ObjectMapper mapper = new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT);
      files.add(target, mapper.writeValueAsBytes(json));
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("what was read as JSON can be written as JSON", e);
    }
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
