package dreambooth4j.engine.op;

import dreambooth4j.engine.Native;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import java.util.List;

/**
 * LoHa's change of a weight (Hyeon-Woo et al. 2022): two products, multiplied element by element,
 * (A₁ B₁) ⊙ (A₂ B₂). Keeps nothing: backward multiplies again.
 *
 * <table>
 * <caption>Tensors</caption>
 * <tr><th>tensor</th><th>shape</th></tr>
 * <tr><td>A₁, A₂</td><td>[O, r]</td></tr>
 * <tr><td>B₁, B₂</td><td>[r, I] or, of a convolution, [r, I·kh·kw] in the order of files</td></tr>
 * <tr><td>the change</td><td>[O, I] or [O, kh, kw, I], step arena</td></tr>
 * </table>
 */
public final class LohaWeight {
  private LohaWeight() {}

  /**
   * Applies it.
   *
   * @param factors A₁, B₁, A₂ and B₂, which all train or are all frozen
   * @param shape of the weight in memory
   */
  public static Var apply(Tape tape, List<Parameter> factors, long... shape) {
    Tensor change =
        tape.arena()
            .compute(
                "loha",
                () -> WeightOrder.inMemory(product(factors, 0).mul_(product(factors, 2)), shape));
    return tape.record(
        "loha",
        change,
        factors.get(0).isTrainable(),
        List.of(),
        d ->
            Native.run(
                "loha.backward",
                () -> {
                  var inFile = WeightOrder.inFile(d.handle(), shape);
                  accumulate(factors, 0, inFile.mul(product(factors, 2)));
                  accumulate(factors, 2, inFile.mul(product(factors, 0)));
                }));
  }

  private static org.bytedeco.pytorch.Tensor product(List<Parameter> factors, int at) {
    return factors.get(at).weight().handle().mm(factors.get(at + 1).weight().handle());
  }

  /** Passes the gradient of a product on to its two factors. */
  private static void accumulate(
      List<Parameter> factors, int at, org.bytedeco.pytorch.Tensor gradient) {
    WeightOrder.accumulateProduct(factors.get(at), factors.get(at + 1), gradient);
  }
}
