package dreambooth4j.model;

import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.Conv2d;

/** A convolution layer: [B, H, W, in] to [B, H', W', out]. */
record Conv(Parameter weight, Parameter bias, int stride, int padding) {
  Var forward(Tape tape, Var x) {
    return Conv2d.apply(tape, x, weight, bias, stride, padding);
  }
}
