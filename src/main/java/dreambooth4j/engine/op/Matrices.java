package dreambooth4j.engine.op;

import dreambooth4j.engine.Tensor;

/** Tensors seen as matrices, for calls inside a native one: views of the same memory. */
final class Matrices {
  private Matrices() {}

  /** [.., C] seen as rows of C. */
  static org.bytedeco.pytorch.Tensor rows(Tensor of) {
    return of.handle().view(-1, of.size(-1));
  }

  /** A weight as a matrix [O, I]. */
  static org.bytedeco.pytorch.Tensor matrix(Tensor weight) {
    return weight.handle().view(weight.size(0), weight.size(-1));
  }
}
