package dreambooth4j.pipeline;

import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Parameters.Gradients;
import org.jspecify.annotations.Nullable;

/**
 * What a model's weights are held and computed in.
 *
 * @param trained type of what trains, and of weights that adapters train around
 * @param masters whether F32 masters lie beside what trains in 16 bits
 * @param frozen type of all else
 */
public record WeightTypes(DType trained, boolean masters, DType frozen) {
  /** What trains in this type, beside masters if it has 16 bits; the rest in F32. */
  public static WeightTypes trainedIn(DType type) {
    return new WeightTypes(type, true, DType.F32);
  }

  /** The same, but that what does not train is held in F32. */
  WeightTypes withFrozenF32() {
    return new WeightTypes(trained, masters, DType.F32);
  }

  /** Weights that will be allocated with these gradients. */
  public Parameters of(Gradients gradients) {
    return gradients == Gradients.NONE ? new Parameters(frozen) : new Parameters(trained, masters);
  }

  /** The own weights of a component that learns so; null for one that does not learn. */
  Parameters own(@Nullable Learning how) {
    if (how == null) {
      return new Parameters(frozen);
    }
    return how.whole() ? new Parameters(trained, masters) : new Parameters(trained);
  }
}
