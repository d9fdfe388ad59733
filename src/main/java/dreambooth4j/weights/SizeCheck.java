package dreambooth4j.weights;

import dreambooth4j.Problem;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/**
 * Compares what a component's configuration says with the shapes in the headers of its weights,
 * before anything is built: a wrong number ends in one sentence that names it, rather than in
 * layers without end or in an error of the first layer that it does not fit.
 */
public final class SizeCheck {
  private final String config;
  private final TensorSource weights;

  /** The weights' names in the files by their names here. */
  private final Map<String, String> names;

  /** {@code config} names the configuration's file in errors. */
  public SizeCheck(Component component, TensorSource weights, String config) {
    this.config = config;
    this.weights = weights;
    this.names = WeightNames.fileNames(component, weights);
  }

  /**
   * Refuses a size that a tensor does not have.
   *
   * @param key what the configuration calls it
   * @param tensor its name here
   * @param axis of the shape in the file
   */
  public void size(String key, long said, String tensor, int axis) {
    String name = names.get(tensor);
    TensorInfo info = name == null ? null : weights.tensors().get(name);
    if (info == null) {
      throw Problem.data(
          "%s: expected a tensor %s, whose size %s says %s is, found none"
              .formatted(weights.path(), tensor, config, key));
    }
    if (axis >= info.shape().size() || info.shape().get(axis) != said) {
      throw Problem.data(
          "%s: %s is %d, but the weights have another size: %s is %s in %s"
              .formatted(config, key, said, name, info.shape(), weights.fileOf(info.name())));
    }
  }

  /**
   * Refuses a number of layers that the weights do not have: of names that begin with {@code
   * prefix} and go on with different numbers.
   */
  public void count(String key, long said, String prefix) {
    Set<String> layers = new HashSet<>();
    for (String name : names.keySet()) {
      int end = name.indexOf('.', prefix.length());
      if (end > 0 && name.startsWith(prefix)) {
        layers.add(name.substring(prefix.length(), end));
      }
    }
    if (layers.size() != said) {
      throw Problem.data(
          "%s: %s asks for %d × %s*, but %s has %d"
              .formatted(config, key, said, prefix, weights.path(), layers.size()));
    }
  }
}
