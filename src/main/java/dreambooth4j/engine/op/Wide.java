package dreambooth4j.engine.op;

import dreambooth4j.engine.Parameter;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

/**
 * F32 where a model computes in 16 bits. libtorch's normalisations keep their statistics in the
 * type of gamma and beta: given these in F32 beside 16-bit values, as they are taken on the CPU,
 * they lose nothing.
 */
final class Wide {
  private Wide() {}

  /** Whether a tensor must not hold what is summed over many elements. */
  static boolean is(Tensor values) {
    int type = values.scalar_type().value;
    return type == torch.ScalarType.BFloat16.value || type == torch.ScalarType.Half.value;
  }

  /** A weight as libtorch's normalisations take it. */
  static TensorOptional of(Parameter parameter) {
    Tensor weight = parameter.weight().handle();
    return new TensorOptional(weight.is_cpu() ? asF32(weight) : weight);
  }

  /** Values of 16 bits as F32; others as they are. */
  static Tensor asF32(Tensor values) {
    return is(values) ? values.to(torch.ScalarType.Float) : values;
  }
}
