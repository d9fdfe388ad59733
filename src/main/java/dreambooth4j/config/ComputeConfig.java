package dreambooth4j.config;

import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * On what is computed, and in which types.
 *
 * @param device where models lie
 * @param mixedPrecision the type in which what trains is computed
 * @param fullBf16 whether the whole model is held in BF16, what trains without F32 masters
 * @param allowTf32 whether CUDA may round the factors of F32 products to 10 bits
 * @param cudaGraph whether whole steps are captured and replayed on CUDA
 * @param frozenDtype the type in which what does not train is held and computed; null for BF16 with
 *     {@code fullBf16} and F32 otherwise
 */
public record ComputeConfig(
    Target device,
    MixedPrecision mixedPrecision,
    boolean fullBf16,
    boolean allowTf32,
    CudaGraph cudaGraph,
    @Nullable FloatType frozenDtype) {
  static final Section<ComputeConfig> KEYS = new Section<>(Key.Group.COMPUTE);

  static final Key<ComputeConfig, Target> DEVICE =
      KEYS.key("device", ValueType.oneOf(Target.class), ComputeConfig::device)
          .standard(Target.AUTO)
          .decidesNothing()
          .help(
              "Device to compute on: cpu, or cuda for the first NVIDIA GPU; auto uses the GPU if"
                  + " CUDA works and the CPU otherwise.");

  static final Key<ComputeConfig, MixedPrecision> MIXED_PRECISION =
      KEYS.key(
              "mixed_precision",
              ValueType.oneOf(
                  List.of(MixedPrecision.values()), (text, folder) -> mixedPrecision(text)),
              ComputeConfig::mixedPrecision)
          .standard(MixedPrecision.NO)
          .help(
              "Number type in which the trained models compute: no is float32; bf16 and fp16 halve"
                  + " the memory of activations, and trained weights are kept in float32 too. auto"
                  + " takes bf16 on a GPU that has it, and on a CPU the faster of float32 and bf16 in"
                  + " a short trial; a resumed run keeps its type.");

  static final Key<ComputeConfig, Boolean> FULL_BF16 =
      KEYS.key("full_bf16", ValueType.flag(), ComputeConfig::fullBf16)
          .standard(false)
          .help(
              "Keep all weights in bf16 alone, without a float32 copy: saves 4 bytes of memory a"
                  + " weight and rounds each update at random. Needs mixed_precision: bf16; for"
                  + " GPUs on which that alone does not fit.");

  static final Key<ComputeConfig, FloatType> FROZEN_DTYPE =
      KEYS.key("frozen_dtype", ValueType.oneOf(FloatType.class), ComputeConfig::frozenDtype)
          .otherwise("fp32, with full_bf16 bf16")
          .help(
              "Number type of the models that do not train, the VAE and a text encoder that stays as"
                  + " it is: bf16 and fp16 halve their memory and are faster on GPUs, and encode a"
                  + " little less exactly. With use_lora and mixed_precision: no, also of the"
                  + " base's weights and of what the layers with adapters compute.");

  static final Key<ComputeConfig, Boolean> ALLOW_TF32 =
      KEYS.key("allow_tf32", ValueType.flag(), ComputeConfig::allowTf32)
          .standard(false)
          .alias("tf32_enable")
          .help(
              "Let the GPU round the factors of float32 products to 10 bits (TF32): faster on RTX"
                  + " 30 or newer and a little less exact. No effect on the CPU.");

  static final Key<ComputeConfig, CudaGraph> CUDA_GRAPH =
      KEYS.key("cuda_graph", ValueType.flagOr(CudaGraph.class), ComputeConfig::cudaGraph)
          .standard(CudaGraph.FALSE)
          .decidesNothing()
          .help(
              "On a GPU, record a whole step once as a CUDA graph and replay it, which saves the"
                  + " time of launching kernels one by one. If a step cannot be captured, true ends"
                  + " the run with an error and auto trains without a graph. Not tested on a GPU"
                  + " yet.");

  static ComputeConfig of(Values run) {
    MixedPrecision type = run.get(MIXED_PRECISION);
    boolean full = run.get(FULL_BF16);
    if (full && type != MixedPrecision.BF16) {
      run.error(
          "full_bf16 holds the model in bf16, but mixed_precision is %s: set mixed_precision: bf16, or leave out full_bf16"
              .formatted(type));
    }
    return new ComputeConfig(
        run.get(DEVICE),
        type,
        full,
        run.get(ALLOW_TF32),
        run.get(CUDA_GRAPH),
        run.orNull(FROZEN_DTYPE));
  }

  /** As the extension and others write it. */
  private static String mixedPrecision(String text) {
    String plain = text.toLowerCase(Locale.ROOT);
    return plain.equals("fp32") ? MixedPrecision.NO.toString() : plain;
  }

  /** The same computed in another type. */
  public ComputeConfig in(MixedPrecision type) {
    return new ComputeConfig(device, type, fullBf16, allowTf32, cudaGraph, frozenDtype);
  }

  /** The same on another device, in BF16. */
  public ComputeConfig inBf16(Target on, boolean full) {
    return new ComputeConfig(on, MixedPrecision.BF16, full, allowTf32, cudaGraph, frozenDtype);
  }

  /** The same with what does not train in BF16. */
  public ComputeConfig frozenInBf16() {
    return new ComputeConfig(
        device, mixedPrecision, fullBf16, allowTf32, cudaGraph, FloatType.BF16);
  }

  /** The type in which what does not train is held and computed. */
  public FloatType frozen() {
    if (frozenDtype != null) {
      return frozenDtype;
    }
    return fullBf16 ? FloatType.BF16 : FloatType.FP32;
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
    FP16,
    /** F32 or BF16, decided when the run begins and recorded as what it is. */
    AUTO;

    /** The name in configuration files. */
    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }
}
