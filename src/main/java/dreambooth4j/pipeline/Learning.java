package dreambooth4j.pipeline;

import dreambooth4j.model.AdapterKind;
import dreambooth4j.model.Adapters;
import dreambooth4j.weights.Export;
import org.jspecify.annotations.Nullable;

/**
 * How a component of a model learns: by all of its weights, or by adapters around them while they
 * stay as they are.
 *
 * @param rateFactor its learning rate is the run's times this
 * @param adapters null where all weights learn
 * @param export of a component whose weights all learn, how they are saved, the same for all of
 *     them; null for a diffusers folder
 */
public record Learning(double rateFactor, @Nullable Adaptation adapters, @Nullable Export export) {
  /**
   * Adapters around a component's layers.
   *
   * @param kind how they change them
   * @param sizes which layers get one, and of what size
   * @param dropout share of an adapter's input that is dropped in training
   * @param export how they are saved; the same for all components that share a file
   */
  public record Adaptation(
      AdapterKind kind, Adapters.Sizes sizes, double dropout, Export export) {}

  /** All weights learn, at a multiple of the run's rate. */
  public static Learning whole(double rateFactor) {
    return new Learning(rateFactor, null, null);
  }

  /** All weights learn, and are saved so. */
  public static Learning whole(double rateFactor, Export export) {
    return new Learning(rateFactor, null, export);
  }

  /** Adapters learn. */
  public static Learning of(double rateFactor, Adaptation adapters) {
    return new Learning(rateFactor, adapters, null);
  }
}
