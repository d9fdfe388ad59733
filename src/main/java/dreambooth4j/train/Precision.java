package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.config.ComputeConfig;
import dreambooth4j.config.ComputeConfig.MixedPrecision;
import dreambooth4j.config.Config;
import dreambooth4j.config.FloatType;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Platform;
import dreambooth4j.engine.kernel.CudaDevice;
import dreambooth4j.pipeline.Devices;
import dreambooth4j.pipeline.WeightTypes;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** The types that a run computes in. */
public final class Precision {
  private static final String KEY = "mixed_precision";

  /** The compute capability of GPUs from which on they multiply BF16. */
  private static final int FIRST_WITH_BF16 = 80;

  private Precision() {}

  /** What the model is held in. */
  static WeightTypes of(Config config) {
    ComputeConfig compute = config.compute();
    DType frozen = Devices.typeOf(compute.frozen());
    DType trained =
        switch (compute.mixedPrecision()) {
          case NO -> config.trainsWeights() ? DType.F32 : frozen;
          case BF16 -> DType.BF16;
          case FP16 -> DType.F16;
          case AUTO -> throw undecided();
        };
    return new WeightTypes(trained, !compute.fullBf16(), frozen);
  }

  /** Whether class images are drawn with F32 masters, where there are some. */
  static boolean drawsWithMasters(ComputeConfig config) {
    return config.frozen() == FloatType.FP32;
  }

  /** In words, for the start-up block. */
  public static String named(ComputeConfig config) {
    if (config.frozenDtype() == null) {
      return trained(config);
    }
    String frozen =
        config.mixedPrecision() == MixedPrecision.NO
            ? "; weights that do not train, and what is computed with them, in "
            : "; models that do not train in ";
    return trained(config) + frozen + config.frozenDtype();
  }

  private static String trained(ComputeConfig config) {
    return switch (config.mixedPrecision()) {
      case NO -> "float32";
      case BF16 ->
          config.fullBf16()
              ? "bf16 alone, updates rounded at random"
              : "bf16 beside float32 master weights";
      case FP16 -> "fp16 beside float32 master weights, with a loss scale";
      case AUTO -> throw undecided();
    };
  }

  private static IllegalStateException undecided() {
    return new IllegalStateException("mixed_precision: auto is decided before a run begins");
  }

  /**
   * What {@code mixed_precision: auto} becomes: of a run that goes on, what its checkpoint was made
   * in, whatever is faster here; on a GPU BF16 where it has it; on a CPU the faster type.
   *
   * @param checkpoint what the run goes on from; null for the base model
   * @param trial measures on this CPU
   * @param notes is told the choice and why
   */
  static MixedPrecision decide(
      Device device,
      @Nullable Path checkpoint,
      Supplier<PrecisionTrial> trial,
      Consumer<String> notes) {
    String then = checkpoint == null ? null : Checkpoint.settings(checkpoint).get(KEY);
    if (device == Device.CUDA) {
      return then != null ? kept(then, checkpoint) : onCuda();
    }
    if (then != null) {
      MixedPrecision kept = kept(then, checkpoint);
      notes.accept(
          "mixed_precision: auto keeps %s, as %s was made, so that the run repeats bit for bit"
              .formatted(type(kept), checkpoint));
      return kept;
    }
    PrecisionTrial seen = trial.get();
    notes.accept("mixed_precision: auto takes %s: %s".formatted(type(seen.faster()), seen));
    return seen.faster();
  }

  private static String type(MixedPrecision chosen) {
    return chosen == MixedPrecision.NO ? "float32" : chosen.toString();
  }

  private static MixedPrecision kept(String then, @Nullable Path checkpoint) {
    MixedPrecision type = MixedPrecision.valueOf(then.toUpperCase(Locale.ROOT));
    if (type == MixedPrecision.FP16) {
      throw Problem.usage(
          "mixed_precision: auto takes float32 or bf16, and %s was made in fp16: set mixed_precision: fp16 to go on from it"
              .formatted(checkpoint));
    }
    return type;
  }

  /** Where no GPU is here, as in a dry run for one elsewhere, it is taken for one that has BF16. */
  private static MixedPrecision onCuda() {
    boolean older = Platform.whyNoCuda() == null && CudaDevice.architecture() < FIRST_WITH_BF16;
    return older ? MixedPrecision.NO : MixedPrecision.BF16;
  }

  /** What to know of this choice on this machine; empty if there is nothing. */
  static List<String> notes(ComputeConfig config, Device device) {
    List<String> notes = new ArrayList<>();
    if (device == Device.CUDA) {
      return notes;
    }
    if (config.allowTf32()) {
      notes.add("allow_tf32: TF32 is a type of NVIDIA's GPUs and has no effect on the CPU");
    }
    if (config.mixedPrecision() == MixedPrecision.BF16
        && !Platform.hasAny("amx_bf16", "avx512_bf16", "bf16")) {
      notes.add(
          "mixed_precision: bf16 works, but this CPU has no instructions for it: it is likely slower than float32 (mixed_precision: auto measures, and takes the faster one)");
    }
    if (config.mixedPrecision() == MixedPrecision.FP16
        && !Platform.hasAny("avx512_fp16", "amx_fp16", "asimdhp")) {
      notes.add(
          "mixed_precision: fp16 works, but this CPU does not compute in it: it is likely slower than float32");
    }
    return notes;
  }

  /** What a LoRA's file holds its numbers in. */
  static DType ofLoraFile(Config config) {
    FloatType said = config.output().savePrecision();
    return said != null ? Devices.typeOf(said) : config.lora().half() ? DType.F16 : DType.F32;
  }
}
