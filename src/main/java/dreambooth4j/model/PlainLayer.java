package dreambooth4j.model;

import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.op.AddProduct;
import org.jspecify.annotations.Nullable;

/** A layer that is a product with its weight, and a bias. */
interface PlainLayer extends Layer {
  /** The weight, [out, in] or [out, in, kernel, kernel]. */
  Parameter weight();

  /** The bias [out], if there is one. */
  @Nullable Parameter bias();

  /** The same product with another weight and bias. */
  PlainLayer with(Parameter otherWeight, @Nullable Parameter otherBias);

  /** The same product with a weight that is computed, so many times, to be added to a result. */
  AddProduct product(double scale);
}
