package dreambooth4j.weights;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.Set;

/** The files of a copy of a diffusers folder, of the known files alone. */
final class FolderCopy {
  private final ModelFolder base;
  private final NewFiles files;
  private final Path output;

  FolderCopy(ModelFolder base, NewFiles files, Path output) {
    this.base = base;
    this.files = files;
    this.output = output;
  }

  /** Adds all components, and last the index; of those that trained, not the weights. */
  void add(Set<Component> trained) {
    Set<Component> written = EnumSet.noneOf(Component.class);
    for (Component component : Component.values()) {
      if (!base.has(component) && !trained.contains(component)) {
        continue;
      }
      Path folder = output.resolve(component.folder());
      for (String name : component.files()) {
        Path source = base.folder(component).resolve(name);
        if (Files.isRegularFile(source)) {
          copy(source, folder.resolve(name));
        }
      }
      if (component.hasWeights() && !trained.contains(component)) {
        copyWeights(component, folder);
      }
      written.add(component);
    }
    index(output.resolve(ModelFolder.INDEX), written);
  }

  private void copyWeights(Component component, Path folder) {
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
  private void copy(Path source, Path target) {
    if (isOfTextEncoder(target)) {
      ObjectNode stored = JsonFile.read(source);
      ObjectNode config = stored.deepCopy();
      for (String key : new String[] {"dtype", "torch_dtype"}) {
        if (config.has(key)) {
          config.put(key, "float32");
        }
      }
      if (!config.equals(stored)) {
        addJson(target, config);
        return;
      }
    }
    files.copy(source, target);
  }

  private boolean isOfTextEncoder(Path target) {
    return Arrays.stream(Component.values())
        .filter(Component::isTextEncoder)
        .anyMatch(each -> target.equals(output.resolve(each.folder()).resolve(each.configFile())));
  }

  /** diffusers refuses a folder whose index names components that are not there. */
  private void index(Path target, Set<Component> written) {
    ObjectNode index = base.index();
    for (var each : base.index().properties()) {
      boolean isThere = written.stream().anyMatch(c -> c.folder().equals(each.getKey()));
      boolean isNamed = each.getValue().isArray() && each.getValue().path(0).isTextual();
      if (isNamed && !isThere) {
        index.putArray(each.getKey()).addNull().addNull();
      }
    }
    // Added in any case, and last: its place is to stay empty until all others are taken.
    if (index.equals(base.index())) {
      files.add(target, StagedFiles.Body.of(base.path().resolve(ModelFolder.INDEX)));
      return;
    }
    if (base.pipeline() == Pipeline.STABLE_DIFFUSION
        && !written.contains(Component.SAFETY_CHECKER)) {
      index.put("requires_safety_checker", false);
    }
    addJson(target, index);
  }

  private void addJson(Path target, ObjectNode json) {
    try {
      ObjectMapper mapper = new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT);
      files.add(target, StagedFiles.Body.of(mapper.writeValueAsBytes(json)));
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("what was read as JSON can be written as JSON", e);
    }
  }
}
