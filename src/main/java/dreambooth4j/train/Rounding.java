package dreambooth4j.train;

import dreambooth4j.engine.Device;
import dreambooth4j.engine.Platform;
import dreambooth4j.engine.Platform.Fact;
import dreambooth4j.engine.Threads;
import dreambooth4j.engine.kernel.CudaDevice;
import dreambooth4j.engine.op.OpBackend;
import dreambooth4j.engine.op.Products;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * What decides how a run's numbers round beside its settings: a checkpoint names each part of it,
 * so that a run that goes on elsewhere, or with another version, can say that it no longer repeats
 * bit for bit, and what differs.
 */
final class Rounding {
  private static final String DEVICE = "computing device";

  /** What multiplies matrices on the CPU where {@link #FLOAT32} says nothing else. */
  private static final String PRODUCTS = "library of matrix products";

  private static final String LIBTORCH = "libtorch";
  private static final String INSTRUCTIONS = "set of instructions";
  private static final String FLOAT32 = "multiplication in float32";

  /** Sums of many numbers are cut over them. */
  private static final String THREADS = "number of threads";

  private static final String CONSEQUENCE =
      "from here on the last digits may differ from those of a run without the break";

  private Rounding() {}

  /** All of it, by name, for a run on this device, which the calling thread computes on. */
  static Map<String, String> on(Device device) {
    if (device == Device.CUDA) {
      return onGpu(
          Fact.of("GPU", CudaDevice::name).value(),
          Fact.of("libraries", CudaDevice::libraries).value(),
          System.getenv());
    }
    Map<String, String> all = new TreeMap<>(onAllRanks(device));
    all.put(DEVICE, "CPU");
    all.put(LIBTORCH, Platform.libtorch());
    all.put(INSTRUCTIONS, Platform.instructions());
    all.put(FLOAT32, Products.inFloat32());
    all.put(THREADS, Integer.toString(Threads.used()));
    return all;
  }

  /** The same on a GPU of this name with these libraries, in such an environment. */
  static Map<String, String> onGpu(String name, String libraries, Map<String, String> environment) {
    Map<String, String> all = new TreeMap<>(OpBackend.switches(environment));
    all.put(DEVICE, name);
    all.put(LIBTORCH, libraries);
    return all;
  }

  /**
   * The part that all ranks have to have the same of. Gradients are added up, so their processors,
   * and how many threads each uses, may differ.
   */
  static Map<String, String> onAllRanks(Device device) {
    return device == Device.CPU ? Map.of(PRODUCTS, Platform.blas()) : Map.of();
  }

  /**
   * What is not as it was, in one sentence at most: each part, how to have it as it was where an
   * environment variable does that, and the consequence. Between a CPU and a GPU only the parts
   * that both have are compared.
   */
  static List<String> differences(Map<String, String> then, Map<String, String> now) {
    List<String> parts = new ArrayList<>();
    now.forEach(
        (name, value) -> {
          String before = then.getOrDefault(name, value);
          if (!before.equals(value)) {
            String setting = settingFor(name, before);
            parts.add(
                "%s was '%s', is '%s'%s"
                    .formatted(
                        name,
                        before,
                        value,
                        setting.isEmpty() ? "" : " (" + setting + " takes the first again)"));
          }
        });
    if (!then.containsKey(DEVICE)) { // checkpoints of earlier versions
      parts.add("an earlier version did not record what computed its numbers");
    }
    return parts.isEmpty() ? List.of() : List.of(String.join("; ", parts) + ": " + CONSEQUENCE);
  }

  private static String settingFor(String name, String value) {
    return switch (name) {
      case PRODUCTS -> Platform.settingFor(value);
      case THREADS -> "OMP_NUM_THREADS=" + value;
      case OpBackend.KERNELS, OpBackend.CUDNN -> name + "=" + value;
      default -> "";
    };
  }
}
