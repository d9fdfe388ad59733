package dreambooth4j.model;

import dreambooth4j.engine.Parameter;
import java.util.List;
import java.util.stream.Stream;

/**
 * A layer, and biases that whoever calls it adds to its result.
 *
 * @param biases none where the layer adds its own, or has none
 */
record Biased(Layer layer, List<Parameter> biases) {
  /** A layer with its bias apart, if it can do without; an adapter's layer keeps its own. */
  static Biased apart(Layer layer) {
    if (layer instanceof PlainLayer plain) {
      Parameter bias = plain.bias();
      if (bias != null) {
        return new Biased(plain.with(plain.weight(), null), List.of(bias));
      }
    }
    return whole(layer);
  }

  /** A layer as it is. */
  static Biased whole(Layer layer) {
    return new Biased(layer, List.of());
  }

  /** Those of this layer and of another. */
  List<Parameter> biasesWith(Biased other) {
    return Stream.concat(biases.stream(), other.biases.stream()).toList();
  }
}
