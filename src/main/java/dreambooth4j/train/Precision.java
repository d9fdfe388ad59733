package dreambooth4j.train;

import dreambooth4j.config.ComputeConfig;
import dreambooth4j.config.ComputeConfig.MixedPrecision;
import dreambooth4j.config.Config;
import dreambooth4j.config.FloatType;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Platform;
import dreambooth4j.pipeline.StableDiffusion;
import java.util.ArrayList;
import java.util.List;

/** The types that a run computes in. */
public final class Precision {
  private Precision() {}

  /** What the model is held in. */
  static StableDiffusion.Types of(Config config) {
    ComputeConfig compute = config.compute();
    DType frozen = typeOf(compute.frozen());
    DType trained =
        switch (compute.mixedPrecision()) {
          case NO -> config.trainsWeights() ? DType.F32 : frozen;
          case BF16 -> DType.BF16;
          case FP16 -> DType.F16;
        };
    return new StableDiffusion.Types(trained, !compute.fullBf16(), frozen);
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
    };
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
    if (config.mixedPrecision() == MixedPrecision.BF16 && !Platform.hasAny("amx_bf16", "bf16")) {
      notes.add(
          "mixed_precision: bf16 works, but this CPU has no AMX: it is likely slower than float32");
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
    return said != null ? typeOf(said) : config.lora().half() ? DType.F16 : DType.F32;
  }

  /** The engine's name of a type. */
  public static DType typeOf(FloatType type) {
    return switch (type) {
      case FP32 -> DType.F32;
      case BF16 -> DType.BF16;
      case FP16 -> DType.F16;
    };
  }
}
