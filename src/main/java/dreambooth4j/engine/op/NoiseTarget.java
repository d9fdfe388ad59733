package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.kernel.Kernels;
import dreambooth4j.engine.kernel.Launcher;
import dreambooth4j.engine.kernel.NoiseKernels;
import dreambooth4j.random.CounterRandom;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;

/**
 * What a training step draws and what follows from it: timesteps, noisy samples and the target.
 *
 * <pre>
 *   eᵢ      = noise, plus strength × one draw for each of its channels (offset noise)
 *   noisyᵢ  = √ᾱ x₀ᵢ + √(1 − ᾱ) eᵢ, with the ᾱ of the row's timestep
 *   targetᵢ = eᵢ or, for models that predict velocity, √ᾱ eᵢ − √(1 − ᾱ) x₀ᵢ
 * </pre>
 *
 * A draw is a function of (key, step, row index) alone, see {@link CounterRandom}: every form draws
 * the same numbers. It has no backward: all inputs are data.
 *
 * <table>
 * <caption>Tensors; B rows</caption>
 * <tr><th>tensor</th><th>shape</th><th>dtype</th><th>owner</th></tr>
 * <tr><td>x₀</td><td>[B, H, W, C]</td><td>F32</td><td>the caller</td></tr>
 * <tr><td>timesteps</td><td>[B]</td><td>I64</td><td>the caller</td></tr>
 * <tr><td>roots</td><td>[timesteps, 2]</td><td>F32: √ᾱ and √(1 − ᾱ)</td><td>the caller</td></tr>
 * <tr><td>row index</td><td>[B]</td><td>I32: 2p for the instance row of pair p of the step, 2p + 1
 * for its class image</td><td>the caller</td></tr>
 * <tr><td>step</td><td>[1]</td><td>I64</td><td>the caller</td></tr>
 * <tr><td>noisy, target</td><td>as x₀</td><td>F32</td><td>the arena, held by the caller</td></tr>
 * </table>
 */
public final class NoiseTarget {
  /** Noisy samples and what the network is to answer to them. */
  public record Result(Tensor noisy, Tensor target) {}

  private NoiseTarget() {}

  /**
   * Draws a timestep for each row into {@code timesteps}.
   *
   * @param chances F64 [timesteps], rising to 1: the chance that a draw is this timestep or one
   *     below
   */
  public static void timesteps(
      Arena arena, Tensor rowIndex, Tensor step, Tensor timesteps, long key, Tensor chances) {
    Launcher device = Kernels.of(arena);
    if (device != null) {
      NoiseKernels.timesteps(device, rowIndex, step, timesteps, key, chances);
      return;
    }
    if (arena.isDry()) {
      return;
    }
    int[] rows = rowIndex.toInts();
    long number = step.toLongs()[0];
    double[] table = chances.toDoubles();
    long[] drawn = new long[rows.length];
    for (int i = 0; i < drawn.length; i++) {
      double quantile = CounterRandom.keyed(key, number, rows[i]).uniform();
      int low = 0;
      for (int high = table.length - 1; low < high; ) {
        int middle = (low + high) / 2;
        if (table[middle] > quantile) {
          high = middle;
        } else {
          low = middle + 1;
        }
      }
      drawn[i] = low;
    }
    timesteps.copyFrom(drawn);
  }

  /** One of the roots of each row's timestep, [B]: in a call. */
  static org.bytedeco.pytorch.Tensor root(Tensor roots, Tensor timesteps, long i) {
    return roots.handle().select(1, i).gather(0, timesteps.handle());
  }

  /**
   * What DREAM (Zhou et al., 2023) makes of samples whose noise the network has predicted once:
   * they are noised as if the noise had been its own, by a part that falls with the noise. Takes
   * {@code first}.
   *
   * <pre>
   *   D = (√(1 − ᾱ))ᵖ · c · (target − predicted),  c = 1, or √ᾱ where velocity is predicted
   *   noisy + √(1 − ᾱ) D,  target + c D
   * </pre>
   *
   * @param predicted what the network said of first's noisy samples, of any type
   * @param detail p, how much detail is preserved
   */
  public static Result dream(
      Arena arena,
      Result first,
      Tensor predicted,
      Tensor timesteps,
      Tensor roots,
      double detail,
      boolean velocity) {
    long[] column = {first.noisy.size(0), 1, 1, 1};
    Tensor error =
        arena.compute(
            "dream",
            () -> {
              var part = root(roots, timesteps, 1).pow_(new Scalar(detail));
              if (velocity) {
                part.mul_(root(roots, timesteps, 0));
              }
              var off = first.target.handle().sub(predicted.handle());
              return off.mul_(part.view(column));
            });
    Tensor one = arena.compute("roots", () -> torch.ones_like(root(roots, timesteps, 1)));
    Tensor s = arena.compute("roots", () -> root(roots, timesteps, 1));
    Tensor c = velocity ? arena.compute("roots", () -> root(roots, timesteps, 0)) : one.retain();
    Tensor noisy = RowScaledSum.of(arena, one, first.noisy, s, error);
    Tensor target = RowScaledSum.of(arena, one, first.target, c, error);
    for (Tensor each : new Tensor[] {error, one, s, c, first.noisy, first.target}) {
      each.release();
    }
    return new Result(noisy, target);
  }

  /**
   * Noisy samples and target.
   *
   * @param velocity whether the target is the velocity, else the noise
   */
  public static Result apply(
      Arena arena,
      NoiseKernels.Noise noise,
      Tensor x0,
      Tensor timesteps,
      Tensor roots,
      Tensor rowIndex,
      Tensor step,
      boolean velocity) {
    Launcher device = Kernels.of(arena);
    if (device != null) {
      Tensor noisy = arena.allocate("noisy", DType.F32, x0.shape());
      Tensor target = arena.allocate("target", DType.F32, x0.shape());
      NoiseKernels.apply(
          device, noise, x0, timesteps, roots, rowIndex, step, noisy, target, velocity);
      return new Result(noisy, target);
    }
    Tensor e = drawn(arena, noise, x0, rowIndex, step);
    Tensor a = column(arena, roots, timesteps, 0, 1);
    Tensor s = column(arena, roots, timesteps, 1, 1);
    Tensor noisy = RowScaledSum.of(arena, a, x0, s, e);
    Tensor target = velocity ? velocity(arena, a, x0, roots, timesteps, e) : e.retain();
    a.release();
    s.release();
    e.release();
    return new Result(noisy, target);
  }

  private static Tensor velocity(
      Arena arena, Tensor a, Tensor x0, Tensor roots, Tensor timesteps, Tensor e) {
    Tensor minus = column(arena, roots, timesteps, 1, -1);
    Tensor target = RowScaledSum.of(arena, minus, x0, a, e);
    minus.release();
    return target;
  }

  /** One column of the roots for each row's timestep, times a sign: [B]. */
  private static Tensor column(Arena arena, Tensor roots, Tensor timesteps, long i, int sign) {
    return arena.compute("roots", () -> root(roots, timesteps, i).mul_(new Scalar(sign)));
  }

  /** Noise and offset noise: F32, as x₀, held by the caller. */
  private static Tensor drawn(
      Arena arena, NoiseKernels.Noise noise, Tensor x0, Tensor rowIndex, Tensor step) {
    Tensor given = noise.given();
    Tensor e =
        given != null
            ? given.retain()
            : NoiseDraws.normal(arena, noise.key(), rowIndex, step, x0.shape());
    if (noise.strength() == 0) {
      return e;
    }
    long rows = x0.size(0);
    long channels = x0.size(-1);
    @Nullable Tensor shifts = noise.shifts();
    Tensor perChannel =
        shifts != null
            ? shifts.reshaped(rows, 1, 1, channels)
            : NoiseDraws.normal(arena, noise.offsetKey(), rowIndex, step, rows, 1, 1, channels);
    Tensor shifted = WeightedSum.of(arena, new double[] {1, noise.strength()}, e, perChannel);
    perChannel.release();
    e.release();
    return shifted;
  }
}
