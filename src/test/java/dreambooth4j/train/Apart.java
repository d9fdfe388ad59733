package dreambooth4j.train;

import static java.util.Objects.requireNonNull;

import dreambooth4j.engine.Arena;
import dreambooth4j.weights.Safetensors;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.regex.Pattern;

/** How far what two runs learnt lies apart. */
public final class Apart {
  private static final Pattern BEGAN_AS_ZERO = Pattern.compile(".*(lora_B|lora_up|lora\\.up)\\..*");

  private Apart() {}

  private static Map<String, float[]> weights(Path file) {
    Map<String, float[]> all = new HashMap<>();
    try (Arena arena = Arena.open("weights");
        Safetensors source = Safetensors.open(file)) {
      source.tensors().keySet().forEach(name -> all.put(name, source.read(arena, name).toFloats()));
    }
    return all;
  }

  /** How far the second lies from the first, in parts of the way from the base model. */
  public static double ofUpdate(Path base, Path one, Path other) {
    return between(weights(base), weights(one), weights(other));
  }

  /** The same of those tensors of two LoRA files that begin as zero. */
  public static double ofZeroed(Path one, Path other) {
    Map<String, float[]> first = weights(one);
    first.keySet().removeIf(name -> !BEGAN_AS_ZERO.matcher(name).matches());
    Map<String, float[]> begun = new HashMap<>();
    first.forEach((name, values) -> begun.put(name, new float[values.length]));
    return between(begun, first, weights(other));
  }

  private static double between(
      Map<String, float[]> begun, Map<String, float[]> first, Map<String, float[]> second) {
    double apart = 0;
    double way = 0;
    for (Map.Entry<String, float[]> each : first.entrySet()) {
      float[] from = requireNonNull(begun.get(each.getKey()));
      float[] there = requireNonNull(second.get(each.getKey()));
      for (int i = 0; i < there.length; i++) {
        apart += Math.pow(each.getValue()[i] - there[i], 2);
        way += Math.pow(each.getValue()[i] - from[i], 2);
      }
    }
    if (way == 0) {
      throw new AssertionError("nothing was learnt");
    }
    return Math.sqrt(apart / way);
  }
}
