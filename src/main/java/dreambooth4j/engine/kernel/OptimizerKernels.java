package dreambooth4j.engine.kernel;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.DynamicCode;
import dreambooth4j.engine.Moment;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Rounding;
import dreambooth4j.engine.StateTensor;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.UpdateRule;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * A rule over flat buffers, in the file of {@code native/cuda} that is named like it, and the norm
 * of the gradients before it, {@code global_norm.cu}; the plain form is {@link
 * dreambooth4j.engine.PlainOptimizer}. A step is: {@link #squares} of each buffer, {@link #norm},
 * {@link #begin}, then {@link #update} for each buffer. Where gradients arrive one by one it is
 * {@link #begin} with a norm of 0, then {@link #squares}, {@link #norm}, {@link #arrived} and
 * {@link #update} for each.
 *
 * <table>
 * <caption>Tensors, n a buffer's elements</caption>
 * <tr><th>tensor</th><th>shape</th><th>dtype</th></tr>
 * <tr><td>gradients, copy</td><td>[n]</td><td>F32, BF16 or F16</td></tr>
 * <tr><td>weights</td><td>[n]</td><td>F32; {@link Alone} BF16</td></tr>
 * <tr><td>moments</td><td>[n]</td><td>F32, or with scales U8 codes</td></tr>
 * <tr><td>scales</td><td>[⌈n / 256⌉]</td><td>F32</td></tr>
 * <tr><td>anchor</td><td>[n]</td><td>F32, BF16 or F16</td></tr>
 * <tr><td>coefficients</td><td>[{@link #COEFFICIENTS}]</td><td>F32</td></tr>
 * <tr><td>norm, rate, lossScale, steps, stopped</td><td>[1]</td><td>F32</td></tr>
 * </table>
 */
public final class OptimizerKernels {
  /** Elements of what {@link #begin} leaves for the updates. */
  public static final int COEFFICIENTS = 16;

  /** Moments that every entry takes; a rule that has fewer gets null for the rest. */
  private static final int MOMENTS = 2;

  private static final int CODES = 256;

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
   * A pull of weights before their update ({@link dreambooth4j.engine.Anchor}).
   *
   * @param anchor where it pulls them, [n] F32, BF16 or F16; null for zero
   * @param weight its strength; 0 for none
   */
  public record Pull(@Nullable Tensor anchor, double weight) {
    /** None. */
    public static final Pull NONE = new Pull(null, 0);

    /** What the kernels tell the types of anchors by. */
    private int type() {
      return anchor == null ? 0 : List.of(DType.F32, DType.BF16, DType.F16).indexOf(anchor.dtype());
    }
  }

  private static final int THREADS = 256;
  private static final int BLOCKS = 1024;

  /** The most partial sums of a buffer. */
  static final int MOST_PARTIALS = BLOCKS;

  private final Launcher device;
  private final KernelSource source;
  private final Tensor constants;
  private final Tensor tables;

  /**
   * The kernels of a rule; what they read besides a step's tensors is allocated in {@code arena}.
   */
  public OptimizerKernels(Launcher device, Arena arena, UpdateRule rule) {
    this(device, rule, constants(arena, rule), tables(arena, rule));
  }

  /** As above, with {@link #constants} and {@link #tables} where the device reads them. */
  OptimizerKernels(Launcher device, UpdateRule rule, Tensor constants, Tensor tables) {
    this.device = device;
    this.constants = constants;
    this.tables = tables;
    source = KernelSource.of(rule);
  }

  static Tensor constants(Arena arena, UpdateRule rule) {
    double[] values = rule.kernelConstants();
    Tensor constants = arena.allocate("optimizer's constants", DType.F64, values.length);
    constants.copyFrom(values);
    return constants;
  }

  /** What the 256 codes of each moment stand for, one moment after the other. */
  static Tensor tables(Arena arena, UpdateRule rule) {
    float[] all = new float[MOMENTS * CODES];
    for (int i = 0; i < rule.moments().size(); i++) {
      DynamicCode each = rule.moments().get(i).code();
      for (int code = 0; code < CODES; code++) {
        all[i * CODES + code] = each.value((byte) code);
      }
    }
    return arena.floats("codes of 8 bits", all, all.length);
  }

  /** The stem of a rule's file and entry points. */
  static String stem(String rule) {
    return rule.toLowerCase(Locale.ROOT);
  }

  private String entry(String kind) {
    return source.file().replace(".cu", "_") + kind;
  }

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
   * nothing, and the updates will change nothing.
   *
   * @param norm of the gradients as they are, that is times the loss scale
   * @param rateFactor what the rate is multiplied with for this group
   * @param lossScale what fp16's loss was multiplied with, or null
   * @param maxNorm the norm to clip to; 0 for no clipping
   */
  public void begin(
      Tensor norm,
      Tensor rate,
      double rateFactor,
      @Nullable Tensor lossScale,
      Tensor steps,
      Tensor coefficients,
      double maxNorm) {
    Object scale = Launch.orNull(lossScale);
    one(
        "begin",
        List.of(
            norm,
            rate,
            (float) rateFactor,
            scale,
            steps,
            constants,
            coefficients,
            (float) maxNorm));
  }

  /**
   * Ends a step for all gradients that come after one that is not finite.
   *
   * @param norm of the gradient that has arrived
   * @param stopped 0 at the step's beginning; the same for all groups
   */
  public void arrived(Tensor norm, Tensor stopped, Tensor coefficients) {
    one("arrived", List.of(norm, stopped, coefficients));
  }

  private void one(String kind, List<Object> arguments) {
    device.launch(new Launch(source, entry(kind), 1, 1, 32, 0, arguments));
  }

  /** Pulls and updates weights, updates moments; gradients stay as they are. */
  public void update(
      Tensor coefficients, Tensor gradients, Weights weights, List<Moment> moments, Pull pull) {
    List<Object> arguments = new ArrayList<>(List.of(coefficients));
    boolean in8Bits = moments.get(0).scales() != null;
    if (in8Bits) {
      arguments.add(tables);
    }
    arguments.add(gradients);
    if (weights instanceof Masters wide) {
      arguments.addAll(List.of(wide.masters, Launch.orNull(wide.copy)));
    } else if (weights instanceof Alone alone) {
      arguments.add(alone.weights);
    }
    for (int i = 0; i < MOMENTS; i++) {
      Moment moment = i < moments.size() ? moments.get(i) : null;
      arguments.add(Launch.orNull(moment == null ? null : moment.values()));
      if (in8Bits) {
        arguments.add(address(moment == null ? null : moment.scales()));
      }
    }
    arguments.addAll(List.of(Launch.orNull(pull.anchor), pull.type(), (float) pull.weight));
    arguments.add(gradients.count());
    String kind = Launch.suffix(gradients.dtype(), false);
    if (weights instanceof Alone alone) {
      arguments.addAll(List.of(alone.first, alone.rounding.key(), alone.rounding.row()));
      kind = "stochastic";
    }
    int vector = in8Bits ? 8 : Launch.wide(gradients.dtype());
    device.launch(
        new Launch(
            source,
            entry(in8Bits ? "8bit_" + kind : kind),
            Launch.blocks((gradients.count() + vector - 1) / vector, THREADS, 2 * CODES),
            1,
            THREADS,
            0,
            arguments));
  }

  /** Scales are read one by one: those of a part of a buffer begin anywhere. */
  private static Long address(@Nullable Tensor scales) {
    return scales == null ? 0L : Native.call("address", () -> Launch.address(scales));
  }

  /** Elements of the scales of a buffer. */
  public static long scales(long elements) {
    return (elements + StateTensor.BLOCK - 1) / StateTensor.BLOCK;
  }
}
