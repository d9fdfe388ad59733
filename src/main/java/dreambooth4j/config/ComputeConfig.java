package dreambooth4j.config;

import java.util.Locale;

/**
 * On what is computed, and in which types.
 *
 * @param device where models lie
 * @param mixedPrecision the type in which what trains is computed
 * @param allowTf32 whether CUDA may round the factors of F32 products to 10 bits
 */
public record ComputeConfig(Target device, MixedPrecision mixedPrecision, boolean allowTf32) {
  /** Where models lie. */
  public enum Target {
    /** On CUDA where it can be used, otherwise on the CPU. */
    AUTO,
    /** The processor. */
    CPU,
    /** The first GPU that CUDA shows. */
    CUDA;

    /** The name in configuration files. */
    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** The type of the weights, gradients and activations of what trains, beside F32 masters. */
  public enum MixedPrecision {
    /** F32 alone. */
    NO,
    /** BF16. */
    BF16,
    /** F16, with a loss scale. */
    FP16;

    /** The name in configuration files. */
    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }
}
