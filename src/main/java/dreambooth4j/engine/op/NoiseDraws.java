package dreambooth4j.engine.op;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.kernel.Kernels;
import dreambooth4j.engine.kernel.Launcher;
import dreambooth4j.engine.kernel.NoiseKernels;
import dreambooth4j.random.CounterRandom;
import java.util.Map;

/**
 * The random numbers of a step's rows. A draw is a function of (seed, purpose, step, row index)
 * alone, see {@link CounterRandom}, on the CPU and by our kernels alike; or it was recorded, and is
 * given.
 *
 * @param rowIndex I32 [B]: 2p for the instance row of pair p of the step, 2p + 1 for its class
 *     image
 * @param step I64 [1]
 * @param given what is taken instead of drawing, F32, by purpose
 */
public record NoiseDraws(long seed, Tensor rowIndex, Tensor step, Map<String, Tensor> given) {
  /** The noise itself. */
  public static final String NOISE = "noise";

  /** What shifts whole channels. */
  public static final String OFFSET = "offset noise";

  /** What disturbs the noise that is seen, and not the target. */
  public static final String SEEN = "perturbation of what is seen";

  /** What disturbs both. */
  public static final String BOTH = "perturbation of both";

  /** Noise of level i of {@link NoiseRecipe.Multires}, from 1; level 0 is as large as the noise. */
  public static String level(int i) {
    return "noise of level " + i;
  }

  /** What the sides of level i's noise are divided by, to the power of i: one number. */
  public static String radius(int i) {
    return "radius of level " + i;
  }

  /** What tells the draws of a purpose from all others. */
  long key(String purpose) {
    return CounterRandom.key(seed, purpose);
  }

  /** Standard normal draws, a row each: F32 [B, ..], held by the caller. */
  Tensor normal(Arena arena, String purpose, long... shape) {
    Tensor known = given.get(purpose);
    return known == null
        ? normal(arena, key(purpose), rowIndex, step, shape)
        : known.reshaped(shape);
  }

  /** Draws from 0 to below 1, one a row: F32 [B], held by the caller. */
  Tensor uniform(Arena arena, String purpose) {
    return drawn(arena, key(purpose), rowIndex, step, true, rowIndex.count());
  }

  /** Draws from 0 to below 1, a row each: F32 [B·n, ..], held by the caller. */
  Tensor uniform(Arena arena, String purpose, long... shape) {
    return drawn(arena, key(purpose), rowIndex, step, true, shape);
  }

  /** A number from 2 to 4 that is the same for all rows. The host must know the step. */
  double drawRadius(int level) {
    Tensor known = given.get(radius(level));
    if (known != null) {
      return known.item();
    }
    if (step.arena().isDry()) {
      return 2;
    }
    return 2 + 2 * CounterRandom.at(seed, radius(level), step.toLongs()[0], 0).uniform();
  }

  /** Standard normal draws of a key, a row each: F32 [B, ..], held by the caller. */
  static Tensor normal(Arena arena, long key, Tensor rowIndex, Tensor step, long... shape) {
    return drawn(arena, key, rowIndex, step, false, shape);
  }

  private static Tensor drawn(
      Arena arena, long key, Tensor rowIndex, Tensor step, boolean uniform, long... shape) {
    Tensor out = arena.allocate("noise", DType.F32, shape);
    Launcher device = Kernels.of(arena);
    if (device != null) {
      NoiseKernels.draw(device, rowIndex, step, key, out, uniform);
    } else if (!arena.isDry()) {
      out.copyFrom(onHost(key, rowIndex.toInts(), step, uniform, Math.toIntExact(out.count())));
    }
    return out;
  }

  private static float[] onHost(long key, int[] rows, Tensor step, boolean uniform, int count) {
    long number = step.toLongs()[0];
    float[] values = new float[count];
    int each = count / rows.length;
    for (int i = 0; i < rows.length; i++) {
      CounterRandom random = CounterRandom.keyed(key, number, rows[i]);
      if (!uniform) {
        random.normal(values, i * each, each);
        continue;
      }
      for (int j = 0; j < each; j++) {
        values[i * each + j] = (float) random.uniform();
      }
    }
    return values;
  }
}
