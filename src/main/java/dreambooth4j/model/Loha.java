package dreambooth4j.model;

import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.op.LohaWeight;
import java.util.List;

/**
 * LoHa (Hyeon-Woo et al. 2022), as LyCORIS has it: a layer's weight plus alpha / rank · (w1_a w1_b)
 * ⊙ (w2_a w2_b), which can have the square of the rank.
 */
final class Loha {
  /** LyCORIS' deviations of what is drawn: of the outputs' side, and of the inputs'. */
  private static final double OUTPUTS = 0.1;

  private static final double INPUTS = 1;

  private Loha() {}

  static Adapter of(AdapterInput input, Scope scope, PlainLayer layer, AdapterSize size) {
    long[] weight = layer.weight().fileShape();
    long inputs = WholeChange.inputs(weight);
    List<Parameter> factors =
        List.of(
            scope.parameter("hada_w1_a", weight[0], size.rank()),
            scope.parameter("hada_w1_b", size.rank(), inputs),
            scope.parameter("hada_w2_a", weight[0], size.rank()),
            scope.parameter("hada_w2_b", size.rank(), inputs));
    return new WholeChange(input, layer, factors, LohaWeight::apply, size.scale(), Loha::begin);
  }

  /** w2_a is zero, so that nothing changes yet. */
  private static void begin(AdapterDraws draws, List<Parameter> factors) {
    draws.normal(factors.get(0), OUTPUTS);
    draws.normal(factors.get(1), INPUTS);
    draws.normal(factors.get(3), INPUTS);
  }
}
