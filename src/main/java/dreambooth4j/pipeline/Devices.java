package dreambooth4j.pipeline;

import dreambooth4j.Problem;
import dreambooth4j.config.ComputeConfig;
import dreambooth4j.config.FloatType;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Platform;
import dreambooth4j.engine.ProcessMemory;
import dreambooth4j.engine.op.OpBackend;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/** Devices and number types that a configuration asks for, as the engine knows them. */
public final class Devices {
  private Devices() {}

  /**
   * Chooses, and sets the device up.
   *
   * @throws Problem if CUDA is asked for and cannot be used
   */
  public static Device choose(ComputeConfig config) {
    return choose(config.device(), config.allowTf32());
  }

  /** As {@link #choose(ComputeConfig)}. */
  public static Device choose(ComputeConfig.Target target, boolean allowTf32) {
    if (target == ComputeConfig.Target.CPU) {
      return Device.CPU;
    }
    String why = Platform.whyNoCuda();
    if (why == null) {
      Platform.allowTf32(allowTf32);
      return Device.CUDA;
    }
    if (target == ComputeConfig.Target.CUDA) {
      throw new Problem(
          Problem.Kind.DEVICE,
          "device: cuda: %s. Run dreambooth doctor --device cuda to see what is missing, or set device: cpu."
              .formatted(why));
    }
    return Device.CPU;
  }

  /**
   * The arena of a run on this device. On the CPU it holds no more than the system can give, for
   * Linux kills who takes more; elsewhere it is the system that refuses.
   */
  public static Arena open(String name, Device device) {
    return open(
        name,
        device,
        device == Device.CPU
            ? ProcessMemory.limit(ProcessMemory.available())
            : OptionalLong.empty());
  }

  /** As {@link #open(String, Device)}, with no more bytes in tensors than these, if given. */
  public static Arena open(String name, Device device, OptionalLong limit) {
    Arena run = Arena.open(name, OpBackend.on(device));
    limit.ifPresent(run.meter()::limit);
    return run;
  }

  /** The engine's name of a type. */
  public static DType typeOf(FloatType type) {
    return switch (type) {
      case FP32 -> DType.F32;
      case BF16 -> DType.BF16;
      case FP16 -> DType.F16;
    };
  }

  /** What to tell someone who could expect a GPU and gets the CPU; null if there is nothing. */
  public static @Nullable String note(ComputeConfig.Target target, Device chosen) {
    if (target != ComputeConfig.Target.AUTO || chosen == Device.CUDA || !Platform.isForGpus()) {
      return null;
    }
    return "device: auto: on the CPU, for " + Platform.whyNoCuda();
  }
}
