package dreambooth4j.engine.kernel;

import dreambooth4j.engine.AdamW;
import dreambooth4j.engine.DynamicCode;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Tensor;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * AdamW over flat buffers and the norm of the gradients before it, {@code adamw.cu} and {@code
 * global_norm.cu}; the plain composition is {@link AdamW}. A step is: {@link #squares} of each
 * buffer, {@link #norm}, {@link #begin}, then one of the updates for each buffer.
 *
 * <table>
 * <caption>Tensors, n a buffer's elements</caption>
 * <tr><th>tensor</th><th>shape</th><th>dtype</th></tr>
 * <tr><td>gradients, copy</td><td>[n]</td><td>F32, BF16 or F16</td></tr>
 * <tr><td>weights</td><td>[n]</td><td>F32; in {@link #stochastic} BF16</td></tr>
 * <tr><td>means, variances</td><td>[n]</td><td>F32; in {@link #update8bit} U8 codes</td></tr>
 * <tr><td>scales</td><td>[⌈n / 256⌉]</td><td>F32</td></tr>
 * <tr><td>coefficients</td><td>[{@link #COEFFICIENTS}]</td><td>F32</td></tr>
 * <tr><td>norm, rate, lossScale, steps</td><td>[1]</td><td>F32</td></tr>
 * </table>
 */
public final class AdamWKernels {
  /** Elements of what {@link #begin} leaves for the updates. */
  public static final int COEFFICIENTS = 8;

  /** Numbers that share a scale among the 8-bit states. */
  public static final int BLOCK = 256;

  private static final int THREADS = 256;
  private static final int BLOCKS = 1024;

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
  public static void squares(Launch.On device, Tensor gradients, Tensor partial) {
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
  public static void norm(Launch.On device, Tensor partial, Tensor norm) {
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
      Launch.On device,
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

  /** Updates F32 weights and moments; {@code copy} gets them in the gradients' type. */
  public static void update(
      Launch.On device,
      AdamW.Settings settings,
      Tensor coefficients,
      Tensor gradients,
      Tensor weights,
      @Nullable Tensor copy,
      Tensor means,
      Tensor variances) {
    launch(
        device,
        "adamw_" + Launch.suffix(gradients.dtype(), false),
        settings,
        gradients.count(),
        Launch.wide(gradients.dtype()),
        coefficients,
        gradients,
        weights,
        Launch.orNull(copy),
        means,
        variances,
        gradients.count());
  }

  /**
   * As {@link #update} with moments of 8 bits.
   *
   * @param tables F32 [512], {@link #tables()}
   */
  public static void update8bit(
      Launch.On device,
      AdamW.Settings settings,
      Tensor coefficients,
      Tensor tables,
      Tensor gradients,
      Tensor weights,
      @Nullable Tensor copy,
      Tensor means,
      Tensor meanScales,
      Tensor variances,
      Tensor varianceScales) {
    launch(
        device,
        "adamw_8bit_" + Launch.suffix(gradients.dtype(), false),
        settings,
        gradients.count(),
        8,
        coefficients,
        tables,
        gradients,
        weights,
        Launch.orNull(copy),
        means,
        address(meanScales),
        variances,
        address(varianceScales),
        gradients.count());
  }

  /** Scales are read one by one: those of a part of a buffer begin anywhere. */
  private static Long address(Tensor scales) {
    return Native.call("address", () -> scales.at().data_ptr().address());
  }

  /**
   * Updates BF16 weights, of which there is no F32 version: each is rounded up or down at random,
   * so that changes too small for the type add up on average.
   *
   * @param key {@code CounterRandom.key}; the step count is the step
   * @param row tells buffers of one step apart
   */
  public static void stochastic(
      Launch.On device,
      AdamW.Settings settings,
      Tensor coefficients,
      Tensor gradients,
      Tensor weights,
      Tensor means,
      Tensor variances,
      long key,
      int row) {
    launch(
        device,
        "adamw_stochastic",
        settings,
        gradients.count(),
        8,
        coefficients,
        gradients,
        weights,
        means,
        variances,
        gradients.count(),
        key,
        row);
  }

  private static void launch(
      Launch.On device,
      String entry,
      AdamW.Settings settings,
      long elements,
      int vector,
      Object... arguments) {
    Stream<Object> rule =
        Stream.of(
            (float) settings.beta1(),
            (float) (1 - settings.beta1()),
            (float) settings.beta2(),
            (float) (1 - settings.beta2()),
            (float) settings.epsilon(),
            (float) settings.weightDecay());
    device.launch(
        new Launch(
            KernelSource.ADAMW,
            entry,
            Launch.blocks((elements + vector - 1) / vector, THREADS, 2 * BLOCKS),
            1,
            THREADS,
            0,
            Stream.concat(Stream.of(arguments), rule).toList()));
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
