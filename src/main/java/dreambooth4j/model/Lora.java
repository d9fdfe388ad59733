package dreambooth4j.model;

import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.AddLinear;
import dreambooth4j.engine.op.Convert;

/**
 * LoRA (Hu et al. 2021): a layer's result plus alpha / rank · B (A x). A is a product of the
 * layer's own kind, from its input to so many values as the rank; B is linear.
 *
 * <table>
 * <caption>Its weights, as files hold them</caption>
 * <tr><th>name</th><th>linear</th><th>convolution</th></tr>
 * <tr><td>lora_A.weight</td><td>[rank, in]</td><td>[rank, in, kernel, kernel]</td></tr>
 * <tr><td>lora_B.weight</td><td>[out, rank]</td><td>[out, rank, 1, 1]</td></tr>
 * </table>
 */
record Lora(AdapterInput input, PlainLayer layer, PlainLayer down, Parameter up, double scale)
    implements Adapter {
  static Lora of(AdapterInput input, Scope scope, PlainLayer layer, AdapterSize size) {
    long[] a = layer.weight().fileShape();
    long[] b = a.clone();
    a[0] = size.rank();
    b[1] = size.rank();
    for (int i = 2; i < b.length; i++) {
      b[i] = 1;
    }
    Parameter down = scope.parameter("lora_A.weight", a);
    Parameter up = scope.parameter("lora_B.weight", b);
    return new Lora(input, layer, layer.with(down, null), up, size.scale());
  }

  @Override
  public Var forward(Tape tape, Var x) {
    Var y = layer.forward(tape, x);
    if (input.isOff()) {
      return y;
    }
    Var wide = Convert.apply(tape, x, up.weight().dtype());
    return plus(tape, y, input.seen(tape, wide, down.weight()));
  }

  /** y and what the adapter makes of x; in the memory of y. */
  Var plus(Tape tape, Var y, Var x) {
    Var given = Convert.apply(tape, x, up.weight().dtype());
    return AddLinear.apply(tape, y, down.forward(tape, given), up, scale);
  }

  /** As peft does: A evenly within one over the root of its inputs, B zero. */
  @Override
  public void begin(AdapterDraws draws) {
    Parameter a = down.weight();
    draws.uniform(a, 1 / Math.sqrt((double) a.count() / a.fileShape()[0]));
  }
}
