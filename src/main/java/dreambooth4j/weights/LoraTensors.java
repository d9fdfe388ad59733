package dreambooth4j.weights;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * What a LoRA file holds for one layer, by what each tensor is to it.
 *
 * @param file is open
 * @param spelling what the file calls the layer
 * @param shape of the layer's weight
 * @param byFactor without the alpha
 */
record LoraTensors(
    TensorSource file, String spelling, List<Long> shape, Map<LoraFactor, TensorInfo> byFactor) {
  private static final String BASE = "ss_base_model_version";

  boolean has(LoraFactor factor) {
    return byFactor.containsKey(factor);
  }

  /** What the header says of a factor; throws Problem where there is none. */
  TensorInfo info(LoraFactor factor) {
    TensorInfo info = byFactor.get(factor);
    if (info == null) {
      throw Problem.data(
          "%s: layer %s: expected a tensor %s, found only %s"
              .formatted(
                  file.path(),
                  spelling,
                  factor.label(),
                  byFactor.values().stream()
                      .map(TensorInfo::name)
                      .sorted()
                      .collect(Collectors.joining(", "))));
    }
    return info;
  }

  /** Refuses a factor that is not of the shape it has to be. */
  void require(boolean fits, LoraFactor factor, String expected) {
    if (!fits) {
      TensorInfo info = info(factor);
      throw Problem.data(
          "%s: tensor %s: expected %s, found %s%s: the layer's weight here is %s%s"
              .formatted(
                  file.path(),
                  info.name(),
                  expected,
                  info.dtype(),
                  info.shape(),
                  shape,
                  madeFor(file)));
    }
  }

  /** For which model a file says that it was made, to be put behind a complaint; often nothing. */
  static String madeFor(TensorSource file) {
    String base = file.metadata().get(BASE);
    return base == null ? "" : ". It was made for %s (%s)".formatted(base, BASE);
  }

  /** A factor as it is stored, in the arena. */
  Tensor read(Arena arena, LoraFactor factor) {
    return file.read(arena, info(factor).name());
  }

  /** Rows of the layer's weight. */
  long outputs() {
    return shape.get(0);
  }

  /** Columns of the layer's weight, seen as a matrix: inputs, times the area of a kernel. */
  long columns() {
    return shape.stream().skip(1).reduce(1L, Math::multiplyExact);
  }

  /** Pixels of a kernel; 1 of a linear layer. */
  long area() {
    return shape.size() == 4 ? shape.get(2) * shape.get(3) : 1;
  }
}
