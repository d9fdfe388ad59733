package dreambooth4j.engine.kernel;

import dreambooth4j.engine.AdamW;
import dreambooth4j.engine.DynamicCode;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Rounding;
import dreambooth4j.engine.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * AdamW over flat buffers and the norm of the gradients before it, {@code adamw.cu} and {@code
 * global_norm.cu}; the plain composition is {@link AdamW}. A step is: {@link #squares} of each
 * buffer, {@link #norm}, {@link #begin}, then {@link #update} for each buffer. Where gradients
 * arrive one by one it is {@link #begin} with a norm of 0, then {@link #squares}, {@link #norm},
 * {@link #arrived} and {@link #update} for each.
 *
 * <table>
 * <caption>Tensors, n a buffer's elements</caption>
 * <tr><th>tensor</th><th>shape</th><th>dtype</th></tr>
 * <tr><td>gradients, copy</td><td>[n]</td><td>F32, BF16 or F16</td></tr>
 * <tr><td>weights</td><td>[n]</td><td>F32; {@link Alone} BF16</td></tr>
 * <tr><td>means, variances</td><td>[n]</td><td>F32, or with scales U8 codes</td></tr>
 * <tr><td>scales</td><td>[⌈n / 256⌉]</td><td>F32</td></tr>
 * <tr><td>coefficients</td><td>[{@link #COEFFICIENTS}]</td><td>F32</td></tr>
 * <tr><td>norm, rate, lossScale, steps, stopped</td><td>[1]</td><td>F32</td></tr>
 * </table>
 */
public final class AdamWKernels {
  /** Elements of what {@link #begin} leaves for the updates. */
  public static final int COEFFICIENTS = 8;

  /** Numbers that share a scale among the 8-bit states. */
  public static final int BLOCK = 256;

  /** Where weights lie. */
  public sealed interface Weights permits Masters, Alone {}

  /**
   * In F32.
   *
   * @param copy gets them in the gradients' type, if there is one
   */
  public record Masters(Tensor masters, @Nullable Tensor copy) implements Weights {}

  /**
   * In BF16, as gradients are, without an F32 version: each is rounded at random by {@link
   * Rounding}'s rule, in which the step is the step count.
   *
   * @param first which element of the whole buffer this part begins with, a multiple of 8
   */
  public record Alone(Tensor weights, long first, Rounding rounding) implements Weights {}

  /**
   * What is remembered of the gradients.
   *
   * @param meanScales of 8 bits, or null; so are varianceScales
   * @param tables F32 [512], {@link #tables()}, for moments of 8 bits
   */
  public record Moments(
      Tensor means,
      Tensor variances,
      @Nullable Tensor meanScales,
      @Nullable Tensor varianceScales,
      Tensor tables) {}

  private static final int THREADS = 256;
  private static final int BLOCKS = 1024;

  /** The most partial sums of a buffer. */
  static final int MOST_PARTIALS = BLOCKS;

  private AdamWKernels() {}

  /** Partial sums that {@link #squares} leaves of a buffer, an even number. */
  public static int partials(long elements) {
    return (Launch.blocks(elements / 4, THREADS, BLOCKS) + 1) / 2 * 2;
  }

  /**
   * Sums of squares of a buffer.
   *
   * @param partial F64 [{@link #partials}], this buffer's part of what {@link #norm} reads
   */
  public static void squares(Launcher device, Tensor gradients, Tensor partial) {
    device.launch(
        new Launch(
            KernelSource.GLOBAL_NORM,
            "global_norm_squares_" + Launch.suffix(gradients.dtype(), false),
            partials(gradients.count()),
            1,
            THREADS,
            0,
            List.of(gradients, partial, gradients.count())));
  }

  /** The norm of all buffers, not finite if a gradient is not: from their partial sums, joined. */
  public static void norm(Launcher device, Tensor partial, Tensor norm) {
    device.launch(
        new Launch(
            KernelSource.GLOBAL_NORM,
            "global_norm_finish",
            1,
            1,
            THREADS,
            0,
            List.of(partial, norm, (int) partial.count())));
  }

  /**
   * Counts the step and writes what the updates need; where the norm is not finite it counts
   * nothing, and the updates will only set the gradients to zero.
   *
   * @param norm of the gradients as they are, that is times the loss scale
   * @param lossScale what fp16's loss was multiplied with, or null
   * @param maxNorm the norm to clip to; 0 for no clipping
   */
  public static void begin(
      Launcher device,
      AdamW.Settings settings,
      Tensor norm,
      Tensor rate,
      @Nullable Tensor lossScale,
      Tensor steps,
      Tensor coefficients,
      double maxNorm) {
    device.launch(
        new Launch(
            KernelSource.ADAMW,
            "adamw_begin",
            1,
            1,
            32,
            0,
            List.of(
                norm,
                rate,
                Launch.orNull(lossScale),
                steps,
                coefficients,
                settings.beta1(),
                settings.beta2(),
                (float) maxNorm)));
  }

  /**
   * Ends a step for all gradients that come after one that is not finite.
   *
   * @param norm of the gradient that has arrived
   * @param stopped 0 at the step's beginning; the same for all groups
   */
  public static void arrived(Launcher device, Tensor norm, Tensor stopped, Tensor coefficients) {
    device.launch(
        new Launch(
            KernelSource.ADAMW,
            "adamw_arrived",
            1,
            1,
            32,
            0,
            List.of(norm, stopped, coefficients)));
  }

  /** Updates weights and moments, and sets the gradients to zero. */
  public static void update(
      Launcher device,
      AdamW.Settings settings,
      Tensor coefficients,
      Tensor gradients,
      Weights weights,
      Moments moments) {
    List<Object> arguments = new ArrayList<>(List.of(coefficients));
    boolean in8Bits = moments.meanScales != null;
    if (in8Bits) {
      arguments.add(moments.tables);
    }
    arguments.add(gradients);
    if (weights instanceof Masters wide) {
      arguments.addAll(List.of(wide.masters, Launch.orNull(wide.copy)));
    } else if (weights instanceof Alone alone) {
      arguments.add(alone.weights);
    }
    for (Tensor each : new Tensor[] {moments.means, moments.variances}) {
      arguments.add(each);
      Tensor scales = each == moments.means ? moments.meanScales : moments.varianceScales;
      if (scales != null) {
        arguments.add(address(scales));
      }
    }
    arguments.add(gradients.count());
    String kind = Launch.suffix(gradients.dtype(), false);
    if (weights instanceof Alone alone) {
      arguments.addAll(List.of(alone.first, alone.rounding.key(), alone.rounding.row()));
      kind = "stochastic";
    }
    arguments.addAll(
        List.of(
            (float) settings.beta1(),
            (float) (1 - settings.beta1()),
            (float) settings.beta2(),
            (float) (1 - settings.beta2()),
            (float) settings.epsilon(),
            (float) settings.weightDecay()));
    int vector = in8Bits ? 8 : Launch.wide(gradients.dtype());
    device.launch(
        new Launch(
            KernelSource.ADAMW,
            (in8Bits ? "adamw_8bit_" : "adamw_") + kind,
            Launch.blocks((gradients.count() + vector - 1) / vector, THREADS, 2 * BLOCKS),
            1,
            THREADS,
            0,
            arguments));
  }

  /** Scales are read one by one: those of a part of a buffer begin anywhere. */
  private static Long address(Tensor scales) {
    return Native.call("address", () -> Launch.address(scales));
  }

  /** What the 256 codes of a mean and of a variance stand for, one after the other. */
  public static float[] tables() {
    float[] both = new float[2 * BLOCK];
    for (int code = 0; code < BLOCK; code++) {
      both[code] = DynamicCode.SIGNED.value((byte) code);
      both[BLOCK + code] = DynamicCode.UNSIGNED.value((byte) code);
    }
    return both;
  }

  /** Elements of the scales of a buffer. */
  public static long scales(long elements) {
    return (elements + BLOCK - 1) / BLOCK;
  }
}
