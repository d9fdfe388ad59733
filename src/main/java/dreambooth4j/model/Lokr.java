package dreambooth4j.model;

import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.op.LokrWeight;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * LoKr, as LyCORIS has it: a layer's weight plus the Kronecker product of a matrix w1 and a small
 * weight, which is alpha / rank · (w2_a w2_b) or, where that would be no smaller, w2 whole.
 */
final class Lokr {
  private Lokr() {}

  static Adapter of(Adapters owner, Scope scope, PlainLayer layer, Adapters.Size size) {
    long[] weight = layer.weight().fileShape();
    long[] outputs = split(weight[0], size.factor());
    long[] inputs = split(weight[1], size.factor());
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
        owner,
        layer,
        List.copyOf(factors),
        (tape, all, shape) -> LokrWeight.apply(tape, all.get(0), all.subList(1, all.size()), shape),
        whole ? 1 : size.scale(),
        Lokr::begin);
  }

  /** All but the last evenly within one over the root of their columns; the last is zero. */
  private static void begin(Adapters.Draws draws, List<Parameter> factors) {
    for (Parameter each : factors.subList(0, factors.size() - 1)) {
      draws.uniform(each, 1 / Math.sqrt((double) each.fileShape()[1]));
    }
  }

  /**
   * Two numbers whose product a side of a weight is, the smaller one first.
   *
   * @param factor one of the two where it divides the side; otherwise the smaller one is at most
   *     this. 0: as even as can be
   */
  static long[] split(long side, int factor) {
    long[] pair = {1, side};
    if (factor > 0 && side % factor == 0) {
      pair = new long[] {factor, side / factor};
    } else {
      long most = factor > 0 ? factor : side;
      for (long smaller = 2; smaller <= most && smaller * smaller <= side; smaller++) {
        if (side % smaller == 0) {
          pair = new long[] {smaller, side / smaller};
        }
      }
    }
    Arrays.sort(pair);
    return pair;
  }
}
