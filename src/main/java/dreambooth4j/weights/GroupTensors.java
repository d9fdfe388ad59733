package dreambooth4j.weights;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tensor;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** What a group has learnt, as it is saved: F32, in the order and under the names of a file. */
final class GroupTensors implements TensorSource {
  private final Path path;
  private final Map<String, Parameter> parameters = new LinkedHashMap<>();
  private final Map<String, TensorInfo> tensors = new LinkedHashMap<>();

  /**
   * The weights of a group.
   *
   * @param path the model that they were trained from, in messages
   * @param names what the file calls them, by their names here
   */
  GroupTensors(Path path, Group group, Map<String, String> names) {
    this.path = path;
    for (Parameter each : group.parameters().all()) {
      String name = names.getOrDefault(each.name(), each.name());
      List<Long> shape = Arrays.stream(each.fileShape()).boxed().toList();
      parameters.put(name, each);
      tensors.put(name, new TensorInfo(name, DType.F32, shape, 0));
    }
  }

  @Override
  public Path path() {
    return path;
  }

  @Override
  public Map<String, TensorInfo> tensors() {
    return Collections.unmodifiableMap(tensors);
  }

  @Override
  public Path fileOf(String name) {
    return path;
  }

  @Override
  public Tensor read(Arena arena, String name) {
    TensorInfo info = info(name);
    Parameter parameter = Objects.requireNonNull(parameters.get(name));
    if (parameter.isPermuted() && parameter.saved().dtype() == DType.F32) {
      return parameter.toFileOrder(arena, parameter.saved());
    }
    Tensor tensor = arena.allocate(name, DType.F32, info.sizes());
    try (Arena scratch = arena.child("read " + name)) {
      Tensor saved = parameter.saved();
      Tensor ordered = parameter.isPermuted() ? parameter.toFileOrder(scratch, saved) : saved;
      Tensor shaped = ordered.reshaped(info.sizes());
      tensor.copyFrom(shaped);
      shaped.release();
    }
    return tensor;
  }

  @Override
  public void close() {
    // The group's owner frees the weights.
  }
}
