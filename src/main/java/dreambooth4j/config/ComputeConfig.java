package dreambooth4j.config;

import java.util.Locale;

/**
 * On what is computed, and in which types.
 *
 * @param device where models lie
 * @param mixedPrecision the type in which what trains is computed
 * @param fullBf16 whether the whole model is held in BF16, what trains without F32 masters
 * @param allowTf32 whether CUDA may round the factors of F32 products to 10 bits
 * @param cudaGraph whether whole steps are captured and replayed on CUDA
 */
public record ComputeConfig(
    Target device,
    MixedPrecision mixedPrecision,
    boolean fullBf16,
    boolean allowTf32,
    CudaGraph cudaGraph) {
  /** The same on another device, in BF16. */
  public ComputeConfig inBf16(Target on, boolean full) {
    return new ComputeConfig(on, MixedPrecision.BF16, full, allowTf32, cudaGraph);
  }

  /** Whether whole steps are captured. */
  public enum CudaGraph {
    /** Or else the run ends. */
    TRUE,
    /** Never. */
    FALSE,
    /** Where that can be done. */
    AUTO;

    /** The name in configuration files. */
    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

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
