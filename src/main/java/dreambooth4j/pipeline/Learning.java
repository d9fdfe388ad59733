package dreambooth4j.pipeline;

import dreambooth4j.model.AdapterKind;
import dreambooth4j.model.Adapters;
import dreambooth4j.weights.Export;
import org.jspecify.annotations.Nullable;

/**
 * How a component of a model learns: by all of its weights, by adapters around them while they stay
 * as they are, by vectors of words that its tokenizer lacks, or not at all while gradients pass
 * through it.
 *
 * @param rateFactor its learning rate is the run's times this
 * @param whole whether its own weights learn
 * @param adapters null where none learn
 * @param words null where no vectors of words learn
 * @param export of a component whose weights all learn, how they are saved, the same for all of
 *     them; null for a diffusers folder
 */
public record Learning(
    double rateFactor,
    boolean whole,
    @Nullable Adaptation adapters,
    @Nullable Words words,
    @Nullable Export export) {
  /** Nothing of it learns, but it is held as what does, for gradients pass through it. */
  public static final Learning PASSING = new Learning(1, false, null, null, null);

  /**
   * Adapters around a component's layers.
   *
   * @param kind how they change them
   * @param sizes which layers get one, and of what size
   * @param dropout share of an adapter's input that is dropped in training
   * @param export how they are saved; the same for all components that share a file
   */
  public record Adaptation(AdapterKind kind, Adapters.Sizes sizes, double dropout, Export export) {}

  /**
   * Vectors of the words that the model's source adds.
   *
   * @param rateFactor their learning rate is the run's times this
   * @param export how they are saved; the same for all text encoders
   */
  public record Words(double rateFactor, Export export) {}

  /** All weights learn, at a multiple of the run's rate. */
  public static Learning whole(double rateFactor) {
    return new Learning(rateFactor, true, null, null, null);
  }

  /** All weights learn, and are saved so. */
  public static Learning whole(double rateFactor, Export export) {
    return new Learning(rateFactor, true, null, null, export);
  }

  /** Adapters learn. */
  public static Learning of(double rateFactor, Adaptation adapters) {
    return new Learning(rateFactor, false, adapters, null, null);
  }

  /** The same, and vectors of words learn too. */
  public Learning with(Words learnt) {
    return new Learning(rateFactor, whole, adapters, learnt, export);
  }
}
