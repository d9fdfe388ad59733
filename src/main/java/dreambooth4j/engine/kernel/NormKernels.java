package dreambooth4j.engine.kernel;

import dreambooth4j.engine.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * The kernels of a normalisation with its options, launched in one place: {@link GroupNormKernels}
 * and {@link LayerNormKernels}, which differ in what one mean is of.
 *
 * <table>
 * <caption>Tensors, allocated by the caller</caption>
 * <tr><th>tensor</th><th>shape</th><th>dtype</th></tr>
 * <tr><td>x, y and their gradients</td><td>[.., C]</td><td>storage</td></tr>
 * <tr><td>gamma, beta and their gradients</td><td>[C]</td><td>storage</td></tr>
 * <tr><td>mean, rstd</td><td>{@link #statistics}</td><td>F32</td></tr>
 * <tr><td>work</td><td>{@link #forwardWork}, {@link #backwardWork}</td><td>F32</td></tr>
 * </table>
 */
public interface NormKernels {
  /** What both directions read; forward writes mean and rstd. */
  record Tensors(Tensor x, Tensor gamma, Tensor beta, Tensor mean, Tensor rstd) {}

  /**
   * What backward writes.
   *
   * @param dx null where x needs no gradient
   * @param dgamma null, as dbeta, where they are frozen
   * @param accumulate whether dgamma and dbeta are added to
   */
  record Gradients(
      @Nullable Tensor dx, @Nullable Tensor dgamma, @Nullable Tensor dbeta, boolean accumulate) {}

  /** Shape of mean and rstd. */
  long[] statistics(Tensor x);

  /** Elements of forward's work buffer; 0 for none. */
  long forwardWork(Tensor x);

  /** Elements of backward's work buffer. */
  long backwardWork(Tensor x);

  /**
   * Writes y, mean and rstd.
   *
   * @param work null where {@link #forwardWork} is 0
   */
  void forward(Tensors of, @Nullable Tensor work, Tensor y);

  /**
   * Writes the gradients.
   *
   * @param other the gradient that x has from elsewhere, which dx includes; null for none
   */
  void backward(Tensors of, Tensor dy, @Nullable Tensor other, Tensor work, Gradients to);
}
