package dreambooth4j.model;

import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.Convert;
import java.util.List;

/**
 * An adapter that computes the change of its layer's weight whole, and adds the product with it to
 * the layer's result.
 *
 * @param factors what the change is made of
 * @param change makes it, in the order in which the layer's weight lies in memory
 * @param scale how many times it is added
 * @param beginning gives the factors the numbers that training begins with
 */
record WholeChange(
    AdapterInput input,
    PlainLayer layer,
    List<Parameter> factors,
    Change change,
    double scale,
    Beginning beginning)
    implements Adapter {
  /** The change of a weight. */
  @FunctionalInterface
  interface Change {
    /** Computes it, of this shape. */
    Var of(Tape tape, List<Parameter> factors, long... shape);
  }

  /** The numbers that factors begin with. */
  @FunctionalInterface
  interface Beginning {
    /** Draws them. */
    void draw(AdapterDraws draws, List<Parameter> factors);
  }

  @Override
  public Var forward(Tape tape, Var x) {
    Var y = layer.forward(tape, x);
    if (input.isOff()) {
      return y;
    }
    DType dtype = factors.get(0).weight().dtype();
    return tape.block(
        () ->
            layer
                .product(scale)
                .apply(
                    tape,
                    y,
                    input.seen(tape, Convert.apply(tape, x, dtype), factors.get(0)),
                    change.of(tape, factors, layer.weight().shape())));
  }

  @Override
  public void begin(AdapterDraws draws) {
    beginning.draw(draws, factors);
  }

  /** Inputs of each output of a weight, as files hold it: a linear layer's, a kernel's. */
  static long inputs(long... fileShape) {
    long inputs = 1;
    for (int i = 1; i < fileShape.length; i++) {
      inputs *= fileShape[i];
    }
    return inputs;
  }
}
