package dreambooth4j.model;

import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.op.AddProduct;
import dreambooth4j.engine.op.Linear;
import org.jspecify.annotations.Nullable;

/** A linear layer over the last axis, [.., in] to [.., out], or an adapter around one. */
interface Dense extends Layer {
  /**
   * The weight [out, in] where the layer is a product with it and nothing else, so that an op may
   * compute that product among others; null where it must be {@link #forward}.
   */
  default @Nullable Parameter product() {
    return null;
  }

  /** A weight [out, in] and perhaps a bias [out]. */
  record Plain(Parameter weight, @Nullable Parameter bias) implements Dense, PlainLayer {
    @Override
    public Plain with(Parameter otherWeight, @Nullable Parameter otherBias) {
      return new Plain(otherWeight, otherBias);
    }

    @Override
    public AddProduct product(double scale) {
      return new AddProduct(1, 0, scale);
    }

    @Override
    public Var forward(Tape tape, Var x) {
      return Linear.apply(tape, x, weight, bias);
    }

    @Override
    public @Nullable Parameter product() {
      return bias == null ? weight : null;
    }
  }
}
