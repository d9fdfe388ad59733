package dreambooth4j.weights;

import com.fasterxml.jackson.databind.JsonNode;
import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/** Several safetensors files under one index, {@code *.safetensors.index.json}. */
public final class ShardedSafetensors implements TensorSource {
  private final Path index;
  private final List<Safetensors> files = new ArrayList<>();
  private final Map<String, TensorInfo> tensors = new LinkedHashMap<>();
  private final Map<String, Safetensors> holders = new HashMap<>();

  private ShardedSafetensors(Path index) {
    this.index = index;
  }

  /**
   * Opens an index and all files that it names, which lie beside it.
   *
   * @throws Problem when one of them is missing or damaged, or index and files disagree
   */
  public static ShardedSafetensors open(Path index) {
    Map<String, String> weightMap = weightMap(index);
    ShardedSafetensors shards = new ShardedSafetensors(index);
    try {
      for (String name : new TreeSet<>(weightMap.values())) {
        shards.add(Safetensors.open(index.resolveSibling(name)), name, weightMap);
      }
      for (Map.Entry<String, String> each : weightMap.entrySet()) {
        if (!shards.tensors.containsKey(each.getKey())) {
          throw Problem.data(
              "%s: tensor %s: expected in %s, found it not there"
                  .formatted(index, each.getKey(), each.getValue()));
        }
      }
      return shards;
    } catch (RuntimeException e) {
      shards.close();
      throw e;
    }
  }

  /** The files that an index names, in the order of their names, none of them twice. */
  static List<String> fileNames(Path index) {
    return List.copyOf(new TreeSet<>(weightMap(index).values()));
  }

  private static Map<String, String> weightMap(Path index) {
    JsonNode map = JsonFile.read(index).path("weight_map");
    if (!map.isObject() || map.isEmpty()) {
      throw Problem.data(index + ": expected a weight_map, found " + map.getNodeType());
    }
    Map<String, String> fileByTensor = new LinkedHashMap<>();
    for (Map.Entry<String, JsonNode> each : map.properties()) {
      String file = each.getValue().asText();
      if (!file.matches("[\\w-][\\w.-]*\\.safetensors")) {
        throw Problem.data(
            "%s: tensor %s: expected the name of a .safetensors file in the same folder, found %s"
                .formatted(index, each.getKey(), each.getValue()));
      }
      fileByTensor.put(each.getKey(), file);
    }
    return fileByTensor;
  }

  private void add(Safetensors file, String fileName, Map<String, String> weightMap) {
    files.add(file);
    for (TensorInfo info : file.tensors().values()) {
      String expected = weightMap.get(info.name());
      if (!fileName.equals(expected)) {
        throw Problem.data(
            "%s: tensor %s: expected in %s by %s, found here"
                .formatted(
                    file.path(),
                    info.name(),
                    expected == null ? "no file" : expected,
                    index.getFileName()));
      }
      tensors.put(info.name(), info);
      holders.put(info.name(), file);
    }
  }

  @Override
  public Path path() {
    return index;
  }

  @Override
  public Map<String, TensorInfo> tensors() {
    return Collections.unmodifiableMap(tensors);
  }

  @Override
  public Path fileOf(String name) {
    return holder(name).path();
  }

  @Override
  public Tensor read(Arena arena, String name) {
    return holder(name).read(arena, name);
  }

  @Override
  public void readInto(Tensor target, String name) {
    holder(name).readInto(target, name);
  }

  private Safetensors holder(String name) {
    @Nullable Safetensors holder = holders.get(name);
    if (holder == null) {
      throw Problem.data(
          "%s: expected a tensor %s, found none of that name among %d"
              .formatted(index, name, tensors.size()));
    }
    return holder;
  }

  @Override
  public void close() {
    files.forEach(Safetensors::close);
  }
}
