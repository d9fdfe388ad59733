package dreambooth4j.model;

import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.Conv2d;

/** A convolution layer, [B, H, W, in] to [B, H', W', out], or an adapter around one. */
interface Conv {
  /** Applies it. */
  Var forward(Tape tape, Var x);

  /** A weight [out, in, kernel, kernel] and a bias [out]. */
  record Plain(Parameter weight, Parameter bias, int stride, int padding) implements Conv {
    @Override
    public Var forward(Tape tape, Var x) {
      return Conv2d.apply(tape, x, weight, bias, stride, padding);
    }
  }
}
