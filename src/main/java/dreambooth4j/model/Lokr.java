package dreambooth4j.model;

import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.op.LokrWeight;
import java.util.ArrayList;
import java.util.List;

/**
 * LoKr, as LyCORIS has it: a layer's weight plus the Kronecker product of a matrix w1 and a small
 * weight, which is alpha / rank · (w2_a w2_b) or, where that would be no smaller, w2 whole.
 */
final class Lokr {
  private Lokr() {}

  static Adapter of(AdapterInput input, Scope scope, PlainLayer layer, AdapterSize size) {
    long[] weight = layer.weight().fileShape();
    long[] outputs = size.split(weight[0]);
    long[] inputs = size.split(weight[1]);
    List<Parameter> factors = new ArrayList<>();
    factors.add(scope.parameter("lokr_w1", outputs[0], inputs[0]));
    long[] small = weight.clone();
    small[0] = outputs[1];
    small[1] = inputs[1];
    boolean whole = 2L * size.rank() >= Math.max(outputs[1], inputs[1]);
    if (whole) {
      factors.add(scope.parameter("lokr_w2", small));
    } else {
      factors.add(scope.parameter("lokr_w2_a", outputs[1], size.rank()));
      factors.add(scope.parameter("lokr_w2_b", size.rank(), WholeChange.inputs(small)));
    }
    return new WholeChange(
        input,
        layer,
        List.copyOf(factors),
        (tape, all, shape) -> LokrWeight.apply(tape, all.get(0), all.subList(1, all.size()), shape),
        whole ? 1 : size.scale(),
        Lokr::begin);
  }

  /** All but the last evenly within one over the root of their columns; the last is zero. */
  private static void begin(AdapterDraws draws, List<Parameter> factors) {
    for (Parameter each : factors.subList(0, factors.size() - 1)) {
      draws.uniform(each, 1 / Math.sqrt((double) each.fileShape()[1]));
    }
  }
}
