package dreambooth4j.engine.kernel;

import dreambooth4j.engine.UpdateRule;
import dreambooth4j.engine.UpdateRules;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.stream.Stream;

/**
 * The files of {@code native/cuda}, which lie beside this class in the jar.
 *
 * @param file its name, such as {@code geglu.cu}
 * @param entries the functions that Java launches
 */
public record KernelSource(String file, List<String> entries) {
  /** {@link AddKernels}. */
  public static final KernelSource ADD = source("add", "add_*", "add_per_sample_**");

  /** {@link ColumnSums}. */
  public static final KernelSource COLUMN_SUMS = source("column_sums", "column_sums_**");

  /** {@link GegluKernels}. */
  public static final KernelSource GEGLU = source("geglu", "geglu_forward_**", "geglu_backward_**");

  /** {@link OptimizerKernels}, the norm before an update. */
  public static final KernelSource GLOBAL_NORM =
      source("global_norm", "global_norm_squares_*", "global_norm_finish");

  /** {@link GroupNormKernels}. */
  public static final KernelSource GROUP_NORM_SILU =
      source(
          "group_norm_silu",
          "group_norm_sums_**",
          "group_norm_normalise_**",
          "group_norm_backward_sums_**",
          "group_norm_backward_dx_**");

  /** {@link LayerNormKernels}. */
  public static final KernelSource LAYER_NORM =
      source(
          "layer_norm",
          "layer_norm_forward_**",
          "layer_norm_forward_512_*",
          "layer_norm_forward_768_*",
          "layer_norm_forward_1280_*",
          "layer_norm_backward_**",
          "layer_norm_backward_512_*",
          "layer_norm_backward_768_*",
          "layer_norm_backward_1280_*");

  /** {@link NoiseKernels}. */
  public static final KernelSource NOISE_TARGET =
      source("noise_target", "noise_timesteps", "noise_draw", "noise_target_*");

  /** {@link LossKernels}. */
  public static final KernelSource PRIOR_LOSS =
      source("prior_loss", "prior_loss_**", "prior_loss_finish_*");

  /** What files include. */
  public static final List<String> HEADERS =
      List.of("common.cuh", "columns.cuh", "random.cuh", "optimizer.cuh");

  /** Compute capabilities that every file must compile for, as in {@code sm_90}. */
  public static final List<Integer> ARCHITECTURES = List.of(75, 80, 86, 89, 90, 100, 120);

  /** All files, those of the optimizers among them. */
  public static List<KernelSource> all() {
    return Stream.concat(
            Stream.of(
                ADD,
                COLUMN_SUMS,
                GEGLU,
                GLOBAL_NORM,
                GROUP_NORM_SILU,
                LAYER_NORM,
                NOISE_TARGET,
                PRIOR_LOSS),
            UpdateRules.withKernels().stream().map(KernelSource::ofRule))
        .toList();
  }

  /** {@link OptimizerKernels} of a rule. */
  static KernelSource of(UpdateRule rule) {
    return ofRule(rule.name());
  }

  private static KernelSource ofRule(String name) {
    String stem = OptimizerKernels.stem(name);
    return source(
        stem,
        Stream.of("begin", "arrived", "*", "8bit_*", "stochastic", "8bit_stochastic")
            .map(kind -> stem + "_" + kind)
            .toArray(String[]::new));
  }

  /**
   * A file and its entry points: {@code *} stands for the storage types, {@code **} for those and
   * the same with {@code _odd}, which load one element at a time.
   */
  private static KernelSource source(String name, String... patterns) {
    return new KernelSource(
        name + ".cu", Stream.of(patterns).flatMap(KernelSource::expanded).toList());
  }

  private static Stream<String> expanded(String pattern) {
    String stem = pattern.replace("*", "");
    if (stem.equals(pattern)) {
      return Stream.of(stem);
    }
    Stream<String> each = Stream.of("f32", "bf16", "f16").map(stem::concat);
    return pattern.endsWith("**") ? each.flatMap(e -> Stream.of(e, e + "_odd")) : each;
  }

  /** Its text. */
  public String text() {
    return read(file);
  }

  /** The texts of {@link #HEADERS}. */
  public static List<String> headers() {
    return HEADERS.stream().map(KernelSource::read).toList();
  }

  /** The file. */
  @Override
  public String toString() {
    return file;
  }

  private static String read(String file) {
    try (InputStream in = KernelSource.class.getResourceAsStream(file)) {
      if (in == null) {
        throw new IllegalStateException(file + " is not in the jar");
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
