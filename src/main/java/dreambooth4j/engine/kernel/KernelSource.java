package dreambooth4j.engine.kernel;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/** The files of {@code native/cuda}, which lie beside this class in the jar. */
public enum KernelSource {
  /** {@link AddKernels}. */
  ADD("add_*", "add_per_sample_**", "add_pixel_sums_**", "add_pixel_sums_finish_*"),
  /** {@link AdamWKernels}. */
  ADAMW(
      "adamw_begin",
      "adamw_arrived",
      "adamw_*",
      "adamw_8bit_*",
      "adamw_stochastic",
      "adamw_8bit_stochastic"),
  /** {@link GegluKernels}. */
  GEGLU("geglu_forward_**", "geglu_backward_**"),
  /** {@link AdamWKernels}, the norm before it. */
  GLOBAL_NORM("global_norm_squares_*", "global_norm_finish"),
  /** {@link GroupNormKernels}. */
  GROUP_NORM_SILU(
      "group_norm_sums_**",
      "group_norm_normalise_**",
      "group_norm_backward_sums_**",
      "group_norm_backward_groups_*",
      "group_norm_backward_dx_**"),
  /** {@link LayerNormKernels}. */
  LAYER_NORM(
      "layer_norm_forward_**",
      "layer_norm_backward_dx_**",
      "layer_norm_backward_columns_**",
      "layer_norm_backward_finish_*"),
  /** {@link NoiseKernels}. */
  NOISE_TARGET("noise_timesteps", "noise_target_*"),
  /** {@link LossKernels}. */
  PRIOR_LOSS("prior_loss_**", "prior_loss_finish_*");

  /** What files include. */
  public static final List<String> HEADERS = List.of("common.cuh", "random.cuh");

  /** Compute capabilities that every file must compile for, as in {@code sm_90}. */
  public static final List<Integer> ARCHITECTURES = List.of(75, 80, 86, 89, 90, 100, 120);

  @SuppressWarnings("ImmutableEnumChecker") // a list that cannot be changed
  private final List<String> entries;

  /**
   * Entry points: {@code *} stands for the storage types, {@code **} for those and the same with
   * {@code _odd}, which load one element at a time.
   */
  KernelSource(String... patterns) {
    entries = Stream.of(patterns).flatMap(KernelSource::expanded).toList();
  }

  private static Stream<String> expanded(String pattern) {
    String stem = pattern.replace("*", "");
    if (stem.equals(pattern)) {
      return Stream.of(stem);
    }
    Stream<String> each = Stream.of("f32", "bf16", "f16").map(stem::concat);
    return pattern.endsWith("**") ? each.flatMap(e -> Stream.of(e, e + "_odd")) : each;
  }

  /** The functions that Java launches. */
  public List<String> entries() {
    return entries;
  }

  /** The file's name, such as {@code geglu.cu}. */
  public String file() {
    return name().toLowerCase(Locale.ROOT) + ".cu";
  }

  /** Its text. */
  public String text() {
    return read(file());
  }

  /** The texts of {@link #HEADERS}. */
  public static List<String> headers() {
    return HEADERS.stream().map(KernelSource::read).toList();
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
