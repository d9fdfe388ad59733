package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Var;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * Stands in for libtorch's ops that have no rule for dry tensors: says the shapes of their results.
 */
final class Dry {
  private Dry() {}

  /** A dry tensor of this shape, of the type of another. */
  static Tensor of(Tensor like, long... shape) {
    return torch.empty(shape, like.options(), null);
  }

  /** As {@link #of}, but in F32 beside 16 bits, as sums over many elements are kept. */
  static Tensor sums(Tensor like, long... shape) {
    return Wide.is(like)
        ? torch.empty(
            shape, like.options().dtype(new ScalarTypeOptional(torch.ScalarType.Float)), null)
        : of(like, shape);
  }

  /** The results of a normalisation: as {@code x}, and two statistics of this shape. */
  static Tensor[] normalised(Tensor x, long... statistics) {
    return new Tensor[] {torch.empty_like(x), sums(x, statistics), sums(x, statistics)};
  }

  /** Backward of an op with these parameters: gradients are made, and nothing is in them. */
  static void backward(Arena arena, Var x, @Nullable Parameter... parameters) {
    if (x.needsGradient()) {
      x.accumulate(arena.allocate("dry", x.value().dtype(), x.value().shape()));
    }
    for (Parameter each : parameters) {
      if (each != null && each.isTrainable()) {
        each.gradient();
      }
    }
  }
}
