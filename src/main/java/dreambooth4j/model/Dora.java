package dreambooth4j.model;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.Add;
import dreambooth4j.engine.op.Magnitude;

/**
 * DoRA (Liu et al. 2024): the weight that {@link Lora} makes of a layer's, each of its rows brought
 * to a length that is learnt by itself. As in peft, dropout holds for the whole change that it
 * makes to the layer's result, W x + b: with d as what is left of x, and m / n as {@link Magnitude}
 * has it, that is (m / n) (W + s B A) d − W d.
 *
 * @param changed the layer without its bias, and the adapter
 * @param magnitude {@code lora_magnitude_vector} [out]
 */
record Dora(AdapterInput input, PlainLayer layer, Lora changed, Parameter magnitude)
    implements Adapter {
  static Dora of(AdapterInput input, Scope scope, PlainLayer layer, AdapterSize size) {
    Lora changed = Lora.of(input, scope, layer.with(layer.weight(), null), size);
    long rows = layer.weight().fileShape()[0];
    return new Dora(input, layer, changed, scope.parameter("lora_magnitude_vector", rows));
  }

  @Override
  public Var forward(Tape tape, Var x) {
    if (input.isOff()) {
      return layer.forward(tape, x);
    }
    PlainLayer product = changed.layer();
    Parameter down = changed.down().weight();
    Var seen = input.seen(tape, x, down);
    Var v = changed.plus(tape, product.forward(tape, seen), seen);
    Var y = Magnitude.apply(tape, v, norms(tape.arena()), magnitude, layer.bias());
    Var unseen = input.unseen(tape, x, down);
    return unseen == null ? y : Add.apply(tape, y, product.forward(tape, unseen));
  }

  private Tensor norms(Arena arena) {
    return Magnitude.norms(
        arena, layer.weight(), changed.down().weight(), changed.up(), changed.scale());
  }

  /** The lengths of the layer's own rows. */
  @Override
  public void begin(AdapterDraws draws) {
    changed.begin(draws);
    Tensor norms = norms(draws.arena());
    magnitude.read(norms);
    norms.release();
  }
}
