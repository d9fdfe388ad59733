package dreambooth4j.config;

import static dreambooth4j.config.Key.Group.COMPUTE;

import dreambooth4j.config.ComputeConfig.CudaGraph;
import dreambooth4j.config.ComputeConfig.MixedPrecision;
import dreambooth4j.config.ComputeConfig.Target;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** The keys of a run that are about the device and the types that it computes in. */
final class ComputeKeys {
  private static final List<Key<Config, ?>> ALL = new ArrayList<>();

  static final Key<Config, Target> DEVICE =
      key(
          "device",
          ValueType.oneOf(Target.class),
          Target.AUTO,
          "Where models lie; auto: on CUDA where it can be used, otherwise on the CPU.",
          c -> c.compute().device());

  static final Key<Config, MixedPrecision> MIXED_PRECISION =
      key(
          "mixed_precision",
          ValueType.oneOf(List.of(MixedPrecision.values()), (text, folder) -> mixedPrecision(text)),
          MixedPrecision.NO,
          "no, bf16 or fp16: what trains is computed in, beside float32 master weights.",
          c -> c.compute().mixedPrecision());

  static final Key<Config, Boolean> FULL_BF16 =
      key(
          "full_bf16",
          ValueType.flag(),
          false,
          "Hold the whole model in bf16, without float32 masters; updates are rounded at random.",
          c -> c.compute().fullBf16());

  static final Key<Config, Boolean> ALLOW_TF32 =
      key(
          "allow_tf32",
          ValueType.flag(),
          false,
          "Let CUDA round the factors of float32 products to 10 bits (TF32).",
          c -> c.compute().allowTf32(),
          "tf32_enable");

  static final Key<Config, CudaGraph> CUDA_GRAPH =
      key(
          "cuda_graph",
          ValueType.flagOr(CudaGraph.class),
          CudaGraph.FALSE,
          "Capture a whole step and replay it on CUDA (not run on a GPU yet); auto: where nothing in it needs the host.",
          c -> c.compute().cudaGraph());

  private ComputeKeys() {}

  static List<Key<Config, ?>> all() {
    return List.copyOf(ALL);
  }

  /** As the extension and others write it. */
  private static String mixedPrecision(String text) {
    String plain = text.toLowerCase(Locale.ROOT);
    return plain.equals("fp32") ? MixedPrecision.NO.toString() : plain;
  }

  private static <T> Key<Config, T> key(
      String name,
      ValueType<T> type,
      T standard,
      String description,
      Function<Config, @Nullable T> getter,
      String... aliases) {
    Key<Config, T> key =
        new Key<>(COMPUTE, name, type, standard, standard, description, getter, aliases);
    ALL.add(key);
    return key;
  }
}
