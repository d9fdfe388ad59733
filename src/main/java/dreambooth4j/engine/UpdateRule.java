package dreambooth4j.engine;

import java.util.List;
import java.util.Map;

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
   * @param weightDecay each step takes learning rate × this off every weight
   * @param arguments what a rule has for itself, by name; flags are 1 and 0
   */
  record Constants(
      double beta1,
      double beta2,
      double epsilon,
      double weightDecay,
      Map<String, Double> arguments) {
    /** Of a rule that has nothing for itself, or at what that usually is. */
    public Constants(double beta1, double beta2, double epsilon, double weightDecay) {
      this(beta1, beta2, epsilon, weightDecay, Map.of());
    }

    double argument(String name, double usual) {
      return arguments.getOrDefault(name, usual);
    }

    boolean flag(String name) {
      return argument(name, 0) != 0;
    }
  }

  /**
   * A number that is remembered of a whole group.
   *
   * @param name in checkpoints
   * @param begin what it is before the first step
   */
  record GroupNumber(String name, double begin) {}

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
   * @param numbers the group's, in the order of {@link UpdateRule#numbers}
   */
  record Step(long number, double learningRate, double gradientFactor, List<Double> numbers) {
    Step with(List<Double> others) {
      return new Step(number, learningRate, gradientFactor, others);
    }
  }

  /**
   * How an {@link Anchor} moves a weight and what is remembered of it in one step.
   *
   * @param weights the weight goes so much of strength × distance
   * @param lastMoment its last moment changes by so much of that, downwards as the weight does
   */
  record Pull(double weights, double lastMoment) {}

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

  /** What is remembered of each weight; two numbers at most where there is a kernel. */
  List<Remembered> moments();

  /** What is remembered of a whole group. */
  default List<GroupNumber> numbers() {
    return List.of();
  }

  /** What the group's numbers are in a step that finds these; asked before any weight changes. */
  default List<Double> next(Step step) {
    return step.numbers();
  }

  /** Whether it has a kernel; otherwise libtorch's ops compute it on every device. */
  default boolean hasKernel() {
    return true;
  }

  /** Whether what is remembered can be held in 8 bits. */
  default boolean fits8Bits() {
    return hasKernel();
  }

  /**
   * Where what is saved lies: at each weight plus this times its last moment. 0 where the weights
   * themselves are saved.
   */
  default double savedAt() {
    return 0;
  }

  /** How an anchor pulls in this step, at the rate at which weights decay. */
  default Pull pull(Step step) {
    return new Pull(step.learningRate(), 0);
  }

  /** What its kernel reads its constants from, in the order that the kernel's file says. */
  default double[] kernelConstants() {
    throw new IllegalStateException(name() + " has no kernel");
  }

  /**
   * Updates a part of the weights by libtorch's ops, on any device.
   *
   * @param weights F32 or F64 [n], changed in place
   * @param gradients of the same type [n]; their content is undefined afterwards
   * @param moments of the same type [n], in the order of {@link #moments}, changed in place
   */
  void update(Step step, Tensor weights, Tensor gradients, List<Tensor> moments);

  /** The same for moments of 8 bits, which are decoded before and encoded after. */
  default InF32 inF32(Step step) {
    throw new IllegalStateException(name() + " remembers nothing in 8 bits");
  }
}
