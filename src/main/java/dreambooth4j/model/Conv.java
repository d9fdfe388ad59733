package dreambooth4j.model;

import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.AddProduct;
import dreambooth4j.engine.op.Conv2d;
import org.jspecify.annotations.Nullable;

/** A convolution layer, [B, H, W, in] to [B, H', W', out], or an adapter around one. */
interface Conv extends Layer {
  /** A weight [out, in, kernel, kernel] and perhaps a bias [out]. */
  record Plain(Parameter weight, @Nullable Parameter bias, int stride, int padding)
      implements Conv, PlainLayer {
    @Override
    public Plain with(Parameter otherWeight, @Nullable Parameter otherBias) {
      return new Plain(otherWeight, otherBias, stride, padding);
    }

    @Override
    public AddProduct product(double scale) {
      return new AddProduct(stride, padding, scale);
    }

    @Override
    public Var forward(Tape tape, Var x) {
      return Conv2d.apply(tape, x, weight, bias, stride, padding);
    }
  }
}
