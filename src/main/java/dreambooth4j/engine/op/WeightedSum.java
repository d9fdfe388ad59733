package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.global.torch;

/**
 * A weighted sum of tensors: {@code y = w₀·t₀ + w₁·t₁ + …}, in the type of the terms.
 *
 * <p>Every step of a sampler is one. It has no backward: samplers only go forward.
 *
 * <table>
 * <caption>Tensors</caption>
 * <tr><th>tensor</th><th>shape</th><th>owner</th></tr>
 * <tr><td>t₀</td><td>any</td><td>the caller</td></tr>
 * <tr><td>t₁ …</td><td>as t₀; an axis of 1 is repeated</td><td>the caller</td></tr>
 * <tr><td>y</td><td>as t₀</td><td>the given arena, held by the caller</td></tr>
 * </table>
 */
public final class WeightedSum {
  private WeightedSum() {}

  /**
   * The sum, in one pass for each term whose weight is not zero. A term of weight zero is not read,
   * so that an infinity in it does no harm.
   */
  public static Tensor of(Arena arena, double[] weights, Tensor... terms) {
    if (weights.length != terms.length || terms.length == 0) {
      throw new IllegalArgumentException(
          weights.length + " weights for " + terms.length + " terms");
    }
    for (Tensor term : terms) {
      requireRepeatable(term, terms[0]);
    }
    return arena.compute(
        "weighted sum",
        () -> {
          org.bytedeco.pytorch.Tensor y =
              weights[0] == 0
                  ? torch.zeros_like(terms[0].handle())
                  : terms[0].handle().mul(new Scalar(weights[0]));
          for (int i = 1; i < terms.length; i++) {
            if (weights[i] != 0) {
              y.add_(terms[i].handle(), new Scalar(weights[i]));
            }
          }
          return y;
        });
  }

  private static void requireRepeatable(Tensor term, Tensor whole) {
    boolean fits = term.rank() == whole.rank() && term.dtype() == whole.dtype();
    for (int i = 0; fits && i < term.rank(); i++) {
      fits = term.size(i) == whole.size(i) || term.size(i) == 1;
    }
    if (!fits) {
      throw new IllegalArgumentException("cannot add " + term + " to " + whole);
    }
  }
}
