package dreambooth4j.weights;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;

/** Tells whether two sources hold the same weights of a component. */
public final class WeightComparison {
  private WeightComparison() {}

  /**
   * How many elements of each tensor differ as numbers in F32, by the tensor's name here; all of
   * them where it is in one source alone or has another shape.
   */
  public static Map<String, Long> differing(
      Component component, TensorSource one, TensorSource other) {
    Map<String, String> names = WeightNames.fileNames(component, one);
    Map<String, String> others = WeightNames.fileNames(component, other);
    Set<String> all = new LinkedHashSet<>(names.keySet());
    all.addAll(others.keySet());
    Map<String, Long> differing = new LinkedHashMap<>();
    for (String each : all) {
      String name = names.get(each);
      String otherName = others.get(each);
      TensorInfo info = name == null ? null : one.info(name);
      TensorInfo otherInfo = otherName == null ? null : other.info(otherName);
      if (info != null && otherInfo != null && info.shape().equals(otherInfo.shape())) {
        differing.put(each, differing(one, info, other, otherInfo));
      } else {
        differing.put(
            each, info != null ? info.count() : otherInfo != null ? otherInfo.count() : 0);
      }
    }
    return differing;
  }

  private static long differing(
      TensorSource one, TensorInfo info, TensorSource other, TensorInfo otherInfo) {
    float[] values = floats(one, info);
    float[] others = floats(other, otherInfo);
    if (Arrays.equals(values, others)) {
      return 0;
    }
    long count = 0;
    for (int i = 0; i < values.length; i++) {
      count += Float.floatToIntBits(values[i]) == Float.floatToIntBits(others[i]) ? 0 : 1;
    }
    return count;
  }

  private static float[] floats(TensorSource source, TensorInfo info) {
    try (Arena arena = Arena.open("compare")) {
      Tensor tensor = arena.allocate(info.name(), DType.F32, info.sizes());
      source.readInto(tensor, info.name());
      return tensor.toFloats();
    }
  }
}
