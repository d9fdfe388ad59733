package dreambooth4j.engine;

import java.util.List;

/** A rule that must see a whole tensor at once, in its shape. */
interface TensorRule extends UpdateRule {
  /** What is remembered of each tensor besides {@link #moments}. */
  List<StateTensor> ofTensors();

  /**
   * Updates one tensor.
   *
   * @param shape of it in memory
   * @param weights F32 or F64, of this shape, changed in place
   * @param gradients likewise; their content is undefined afterwards
   * @param moments of {@link #moments}, likewise
   * @param own flat, of {@link #ofTensors}, as many elements as these have of this tensor
   */
  void update(
      Step step,
      long[] shape,
      Tensor weights,
      Tensor gradients,
      List<Tensor> moments,
      List<Tensor> own);

  @Override
  default void update(Step step, Tensor weights, Tensor gradients, List<Tensor> moments) {
    throw new IllegalStateException(name() + " updates whole tensors");
  }
}
