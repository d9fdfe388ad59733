package dreambooth4j.weights;

import dreambooth4j.engine.Optimizer;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Tensor;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Weights of a model that are allocated, trained and saved together. Whatever is done to a model's
 * weights (saving, averaging, resuming, looking for numbers that are not finite, planning memory)
 * walks the list of its groups.
 *
 * @param component the part of the model that computes with them
 * @param parameters the weights, and where they train their gradients, masters and average
 * @param rateFactor their learning rate is the run's times this: 1 for the same
 * @param export how they are saved once they have trained
 */
public record Group(Component component, Parameters parameters, double rateFactor, Export export) {
  /** Whether they train, rather than lie frozen. */
  public boolean trains() {
    return parameters.isTrainable();
  }

  /** What an optimizer updates of it. */
  public Optimizer.Group learning() {
    return new Optimizer.Group(parameters, rateFactor);
  }

  /**
   * The first weight that is not finite, as it is computed with or as it is saved, in words; null
   * if all that are in memory are finite.
   */
  public @Nullable String firstBadWeight() {
    if (parameters.rests()) {
      return null;
    }
    for (Parameter each : parameters.all()) {
      if (!Stream.of(each.weight(), each.saved()).distinct().allMatch(Tensor::isFinite)) {
        return "the weight %s of the %s".formatted(each, component.folder());
      }
    }
    return null;
  }
}
