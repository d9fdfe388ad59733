package dreambooth4j.engine;

import java.util.Map;

/** How AdamW remembers the two moments of a group, and its rule over a part of the group. */
sealed interface Moments permits FullMoments, QuantizedMoments {
  /**
   * What one update has of the step that it belongs to.
   *
   * @param number of the step, from 1
   * @param clip what gradients are multiplied with first
   */
  record Update(AdamW.Settings settings, long number, double learningRate, double clip) {}

  /**
   * Updates a part of the weights.
   *
   * @param masters that part of the flat buffer, or F32 copies of it, changed in place
   * @param gradients as many, of the same type; their content is undefined afterwards
   */
  void update(Update update, Parameters.Span span, Tensor masters, Tensor gradients);

  /** All that is remembered, by name, to be saved and restored in place. */
  Map<String, Tensor> tensors();
}
