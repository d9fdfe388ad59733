package dreambooth4j.engine.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Closeness;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.op.NoiseTarget;
import dreambooth4j.engine.op.OpCase;
import dreambooth4j.random.CounterRandom;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/** Noise, timesteps and targets against {@link CounterRandom} and their formulas in double. */
final class NoiseChecks {
  private static final long SEED = 1234;
  private static final long STEP = (3L << 32) + 17;
  private static final int[] NUMBERS = {0, 2, 1, 3, 9};
  private static final int BOUND = 1000;

  private NoiseChecks() {}

  static List<KernelCheck> all() {
    List<KernelCheck> checks = new ArrayList<>();
    checks.add(KernelCheck.named("noise timesteps", NoiseChecks::timesteps));
    for (boolean uniform : new boolean[] {false, true}) {
      for (int each : new int[] {1, 7, 32}) {
        checks.add(
            KernelCheck.named(
                "noise draws [%d] uniform=%s".formatted(each, uniform),
                (d, m) -> draws(d, m, each, uniform)));
      }
    }
    for (DType dtype : List.of(DType.F32, DType.BF16, DType.F16)) {
      for (int channels : new int[] {4, 3, 9}) {
        for (boolean velocity : new boolean[] {false, true}) {
          for (boolean given : new boolean[] {false, true}) {
            checks.add(
                KernelCheck.named(
                    "noise %s c=%d velocity=%s given=%s"
                        .formatted(dtype, channels, velocity, given),
                    (d, m) -> noise(d, m, dtype, channels, velocity, given)));
          }
        }
      }
    }
    return checks;
  }

  private static void timesteps(Launcher device, Memory memory) {
    for (int count : new int[] {BOUND, 1, 7}) {
      double[] values = new double[count];
      for (int t = 0; t < count; t++) {
        values[t] = Math.pow((t + 1.0) / count, 3);
      }
      Arena arena = memory.arena();
      Tensor chances = arena.allocate("chances", DType.F64, count);
      chances.copyFrom(values);
      Tensor drawn = memory.blank(DType.I64, NUMBERS.length);
      long key = CounterRandom.key(SEED, "timesteps");
      NoiseKernels.timesteps(
          device, memory.ints(NUMBERS), memory.longs(STEP), drawn, key, memory.copy(chances));
      Tensor plain = arena.longs("drawn", new long[NUMBERS.length], NUMBERS.length);
      Tensor rows = arena.allocate("rows", DType.I32, NUMBERS.length);
      rows.copyFrom(NUMBERS);
      Tensor step = arena.longs("step", new long[] {STEP}, 1);
      NoiseTarget.timesteps(arena, rows, step, plain, key, chances);
      assertThat(memory.back(drawn).toLongs()).isEqualTo(plain.toLongs());
    }
  }

  private static void draws(Launcher device, Memory memory, int each, boolean uniform) {
    Tensor drawn = memory.blank(DType.F32, NUMBERS.length, each);
    NoiseKernels.draw(
        device,
        memory.ints(NUMBERS),
        memory.longs(STEP),
        CounterRandom.key(SEED, "draws"),
        drawn,
        uniform);
    double[] expected = new double[NUMBERS.length * each];
    float[] normal = new float[each];
    for (int i = 0; i < NUMBERS.length; i++) {
      CounterRandom random = CounterRandom.at(SEED, "draws", STEP, NUMBERS[i]);
      if (!uniform) {
        random.normal(normal, 0, each);
      }
      for (int j = 0; j < each; j++) {
        expected[i * each + j] = uniform ? random.uniform() : normal[j];
      }
    }
    assertThat(distance(memory, drawn, expected)).isLessThan(0x1p-24);
  }

  private static void noise(
      Launcher device, Memory memory, DType dtype, int channels, boolean velocity, boolean given) {
    long[] shape = {NUMBERS.length, 5, 7, channels};
    double strength = 0.1;
    int each = 5 * 7 * channels;
    float[] noise = new float[NUMBERS.length * each];
    float[] shifts = new float[NUMBERS.length * channels];
    long[] timesteps = new long[NUMBERS.length];
    for (int i = 0; i < NUMBERS.length; i++) {
      CounterRandom.at(SEED, "noise", STEP, NUMBERS[i]).normal(noise, i * each, each);
      CounterRandom.at(SEED, "offset noise", STEP, NUMBERS[i])
          .normal(shifts, i * channels, channels);
      timesteps[i] = (i * 311L) % BOUND;
    }
    float[] roots = new float[2 * BOUND];
    for (int t = 0; t < BOUND; t++) {
      double alphaBar = Math.exp(-t * 5e-3);
      roots[2 * t] = (float) Math.sqrt(alphaBar);
      roots[2 * t + 1] = (float) Math.sqrt(1 - alphaBar);
    }
    Tensor x0 = OpCase.random(memory.arena(), DType.F32, new SplittableRandom(2), shape);
    Tensor noisy = memory.blank(dtype, shape);
    Tensor target = memory.blank(DType.F32, shape);
    NoiseKernels.apply(
        device,
        new NoiseKernels.Noise(
            CounterRandom.key(SEED, "noise"),
            CounterRandom.key(SEED, "offset noise"),
            strength,
            given ? memory.floats(noise) : null,
            given ? memory.floats(shifts) : null),
        memory.copy(x0),
        memory.longs(timesteps),
        memory.floats(roots),
        memory.ints(NUMBERS),
        memory.longs(STEP),
        noisy,
        target,
        velocity);
    float[] x = x0.toFloats();
    double[] exactNoisy = new double[x.length];
    double[] exactTarget = new double[x.length];
    for (int i = 0; i < x.length; i++) {
      int row = i / each;
      double a = roots[2 * (int) timesteps[row]];
      double s = roots[2 * (int) timesteps[row] + 1];
      double e = noise[i] + strength * shifts[row * channels + i % channels];
      exactNoisy[i] = a * x[i] + s * e;
      exactTarget[i] = velocity ? a * e - s * x[i] : e;
    }
    assertThat(distance(memory, noisy, exactNoisy))
        .isLessThan(2 * Closeness.rounding(DType.F32) + Closeness.rounding(dtype));
    assertThat(distance(memory, target, exactTarget)).isLessThan(3 * 0x1p-24);
  }

  private static double distance(Memory memory, Tensor ours, double[] exact) {
    Tensor wide = memory.arena().allocate("exact", DType.F64, exact.length);
    wide.bytes(0, exact.length * 8).asDoubleBuffer().put(exact);
    return Closeness.relativeError(memory.back(ours), wide);
  }
}
