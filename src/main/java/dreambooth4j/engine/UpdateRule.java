package dreambooth4j.engine;

import java.util.List;

/**
 * The arithmetic of an optimizer: what it remembers of each weight, and how a gradient changes
 * both. Which parts of which buffers it is applied to, the norm of the gradients, clipping, masters
 * and rounding are {@link Optimizer}'s. A rule lies in one file here, its kernel in one file of
 * {@code native/cuda} named like the rule, and {@link UpdateRules} lists it.
 */
public interface UpdateRule {
  /**
   * What configurations say of a rule; a rule reads those that it has.
   *
   * @param beta1 decay of the first moment
   * @param beta2 decay of the second moment, or of the only one
   * @param epsilon added to what the first moment is divided by
   * @param weightDecay decoupled: each step takes learning rate × this off every weight
   */
  record Constants(double beta1, double beta2, double epsilon, double weightDecay) {}

  /**
   * A number that is remembered of each weight; it begins as 0.
   *
   * @param name in checkpoints
   * @param code of its share of the largest of 256, where it is held in 8 bits
   */
  record Remembered(String name, DynamicCode code) {}

  /**
   * What one update has of the step that it belongs to.
   *
   * @param number of the step, from 1
   * @param gradientFactor what gradients are multiplied with first: clipping, and 1 / loss scale
   */
  record Step(long number, double learningRate, double gradientFactor) {}

  /** A step's arithmetic on numbers in Java's memory. */
  @FunctionalInterface
  interface InF32 {
    /**
     * Updates the first {@code n} weights and what is remembered of them.
     *
     * @param moments one array for each of {@link #moments}, in their order
     */
    void update(float[] weights, float[] gradients, float[][] moments, int n);
  }

  /** Its name in configurations and checkpoints and, in lower case, that of its kernel's file. */
  String name();

  /** What is remembered of each weight, two numbers at most. */
  List<Remembered> moments();

  /** What its kernel reads its constants from, in the order that the kernel's file says. */
  double[] kernelConstants();

  /**
   * Updates a part of the weights by libtorch's ops, on any device.
   *
   * @param weights F32 or F64 [n], changed in place
   * @param gradients of the same type [n]; their content is undefined afterwards
   * @param moments of the same type [n], in the order of {@link #moments}, changed in place
   */
  void update(Step step, Tensor weights, Tensor gradients, List<Tensor> moments);

  /** The same for moments of 8 bits, which are decoded before and encoded after. */
  InF32 inF32(Step step);
}
