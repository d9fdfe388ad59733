package dreambooth4j.engine.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Closeness;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.DynamicCode;
import dreambooth4j.engine.Moment;
import dreambooth4j.engine.Native;
import dreambooth4j.engine.Optimizer;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.PlainOptimizer;
import dreambooth4j.engine.Rounding;
import dreambooth4j.engine.StateTensor;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.UpdateRule;
import dreambooth4j.engine.UpdateRules;
import dreambooth4j.engine.UpdateScalars;
import dreambooth4j.engine.op.OpCase;
import dreambooth4j.random.CounterRandom;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;

/** The optimizers' kernels against {@link PlainOptimizer} and against their own definitions. */
final class OptimizerChecks {
  private static final UpdateRule.Constants CONSTANTS =
      new UpdateRule.Constants(0.9, 0.999, 1e-8, 1e-2);

  private static final float RATE = 3e-4f;
  private static final double MAX_NORM = 1;
  private static final int STEPS = 3;

  /** Where a part of a buffer begins that is rounded at random. */
  private static final int FIRST = 256;

  private final UpdateRule rule;

  private OptimizerChecks(UpdateRule rule) {
    this.rule = rule;
  }

  static List<KernelCheck> all() {
    List<KernelCheck> checks = new ArrayList<>();
    for (DType dtype : List.of(DType.F32, DType.BF16, DType.F16)) {
      for (int n : new int[] {1, 515, 4096}) {
        String name = "norm " + dtype + "[" + n + "]";
        checks.add(KernelCheck.named(name, (d, m) -> norm(d, m, dtype, n)));
      }
    }
    for (String name : UpdateRules.withKernels()) {
      checks.addAll(new OptimizerChecks(UpdateRules.named(name, CONSTANTS)).ofRule());
    }
    return checks;
  }

  private List<KernelCheck> ofRule() {
    List<KernelCheck> checks = new ArrayList<>();
    String name = rule.name();
    for (DType dtype : List.of(DType.F32, DType.BF16, DType.F16)) {
      for (int n : new int[] {1, 515, 4096}) {
        String of = " " + dtype + "[" + n + "]";
        checks.add(KernelCheck.named(name + of, (d, m) -> follows(d, m, dtype, n)));
        checks.add(KernelCheck.named(name + " 8bit" + of, (d, m) -> eightBit(d, m, dtype, n)));
      }
      checks.add(KernelCheck.named(name + " skips " + dtype, (d, m) -> skips(d, m, dtype)));
    }
    for (int n : new int[] {515, 2048}) {
      String of = " stochastic [" + n + "]";
      checks.add(KernelCheck.named(name + of, (d, m) -> stochastic(d, m, n, false)));
      checks.add(KernelCheck.named(name + " 8bit" + of, (d, m) -> stochastic(d, m, n, true)));
    }
    checks.add(KernelCheck.named(name + " arrived [515]", (d, m) -> arrives(d, m, 515)));
    return checks;
  }

  /** One buffer and the scalars of a step. */
  private final class Buffers {
    final Launcher device;
    final OptimizerKernels kernels;
    final Tensor norm;
    final Tensor rate;
    final Tensor steps;
    final Tensor coefficients;
    final Tensor partial;
    final Tensor gradients;
    final Tensor weights;
    final Tensor copy;
    final List<Moment> moments = new ArrayList<>();

    Buffers(Launcher device, Memory memory, DType dtype, int n) {
      Arena arena = memory.arena();
      this.device = device;
      kernels =
          new OptimizerKernels(
              device,
              rule,
              memory.copy(OptimizerKernels.constants(arena, rule)),
              memory.copy(OptimizerKernels.tables(arena, rule)));
      norm = memory.blank(DType.F32, 1);
      rate = memory.floats(RATE);
      steps = memory.floats(0);
      coefficients = memory.blank(DType.F32, OptimizerKernels.COEFFICIENTS);
      partial = memory.blank(DType.F64, OptimizerKernels.partials(n));
      gradients = memory.blank(dtype, n);
      weights = memory.copy(OpCase.random(arena, DType.F32, new SplittableRandom(1), n));
      copy = memory.blank(dtype, n);
      for (UpdateRule.Remembered each : rule.moments()) {
        Tensor zeros = memory.copy(arena.zeros(each.name(), DType.F32, n));
        moments.add(new Moment(each.code(), zeros, null));
      }
    }

    /** A step's gradients, as they are given to the kernels, in F64. */
    Tensor draw(Memory memory, int step) {
      Arena arena = memory.arena();
      Tensor drawn =
          OpCase.random(
              arena, gradients.dtype(), new SplittableRandom(50 + step), gradients.count());
      gradients.copyFrom(drawn);
      Tensor wide = arena.allocate("gradients", DType.F64, drawn.count());
      wide.copyFrom(drawn);
      return wide;
    }

    void begin() {
      OptimizerKernels.squares(device, gradients, partial);
      OptimizerKernels.norm(device, partial, norm);
      kernels.begin(norm, rate, 1, null, steps, coefficients, MAX_NORM);
    }

    void update() {
      update(new OptimizerKernels.Masters(weights, copy), moments);
    }

    void update(OptimizerKernels.Weights where, List<Moment> with) {
      kernels.update(coefficients, gradients, where, with, OptimizerKernels.Pull.NONE);
    }
  }

  /** The plain optimizer in one type. */
  private final class Plain {
    final Parameter parameter;
    final Optimizer optimizer;
    final UpdateScalars scalars;

    Plain(Arena arena, DType dtype, Tensor weights) {
      Parameters group = new Parameters(dtype);
      parameter = group.declare("w", weights.shape());
      group.allocate(arena, true);
      parameter.weight().copyFrom(weights);
      Optimizer.Options options = new Optimizer.Options(MAX_NORM, false, 0);
      optimizer = new PlainOptimizer(arena, rule, Optimizer.Group.alike(List.of(group)), options);
      scalars = new UpdateScalars(arena).write(RATE, 1);
    }

    void step(Tensor gradients) {
      parameter.gradient().copyFrom(gradients);
      scalars.update(optimizer);
    }
  }

  private static void norm(Launcher device, Memory memory, DType dtype, int n) {
    Tensor first = memory.copy(OpCase.random(memory.arena(), dtype, new SplittableRandom(3), n));
    Tensor second =
        memory.copy(OpCase.random(memory.arena(), dtype, new SplittableRandom(4), 2 * n + 1));
    int split = OptimizerKernels.partials(n);
    Tensor partial = memory.blank(DType.F64, split + OptimizerKernels.partials(second.count()));
    Tensor norm = memory.blank(DType.F32, 1);
    Tensor partialOfSecond = partial.rows(split, OptimizerKernels.partials(second.count()));
    OptimizerKernels.squares(device, first, partial);
    OptimizerKernels.squares(device, second, partialOfSecond);
    OptimizerKernels.norm(device, partial, norm);
    double exact = Math.sqrt(squares(first) + squares(second));
    assertThat(norm.item()).isCloseTo(exact, org.assertj.core.data.Percentage.withPercentage(1e-5));
    second.rows(2L * n, 1).copyFrom(memory.floats(Float.NaN));
    OptimizerKernels.squares(device, second, partialOfSecond);
    OptimizerKernels.norm(device, partial, norm);
    assertThat(norm.item()).isNaN();
  }

  private static double squares(Tensor of) {
    return Native.call(
        "squares",
        () -> {
          org.bytedeco.pytorch.Tensor wide =
              of.handle().to(org.bytedeco.pytorch.global.torch.ScalarType.Double);
          return wide.mul(wide).sum().item_double();
        });
  }

  private void follows(Launcher device, Memory memory, DType dtype, int n) {
    Buffers ours = new Buffers(device, memory, dtype, n);
    Plain plain = new Plain(memory.arena(), DType.F32, memory.back(ours.weights));
    Plain exact = new Plain(memory.arena(), DType.F64, memory.back(ours.weights));
    for (int step = 0; step < STEPS; step++) {
      Tensor gradients = ours.draw(memory, step);
      plain.step(gradients);
      exact.step(gradients);
      ours.begin();
      ours.update();
    }
    Tensor truth = exact.parameter.weight();
    Closeness.of("weights", memory.back(ours.weights), plain.parameter.weight(), truth).holds();
    assertThat(ours.steps.item()).isEqualTo(STEPS);
    Tensor rounded = memory.arena().allocate("rounded", dtype, n);
    rounded.copyFrom(memory.back(ours.weights));
    assertThat(Closeness.relativeError(memory.back(ours.copy), exactly(rounded))).isZero();
  }

  private static Tensor exactly(Tensor of) {
    Tensor wide = of.arena().allocate("exactly", DType.F64, of.shape());
    wide.copyFrom(of);
    return wide;
  }

  private void skips(Launcher device, Memory memory, DType dtype) {
    Buffers ours = new Buffers(device, memory, dtype, 515);
    ours.draw(memory, 0);
    ours.gradients.rows(512, 1).copyFrom(memory.floats(Float.POSITIVE_INFINITY));
    float[] before = memory.back(ours.weights).toFloats();
    ours.begin();
    ours.update();
    assertThat(memory.back(ours.weights).toFloats()).isEqualTo(before);
    assertThat(ours.steps.item()).isZero();
    for (Moment each : ours.moments) {
      assertThat(memory.back(each.values()).toFloats()).containsOnly(0);
    }
  }

  /** In the first step codes lose nothing: what is rounded is what F32 moments would give. */
  private void stochastic(Launcher device, Memory memory, int n, boolean in8Bits) {
    Buffers full = new Buffers(device, memory, DType.BF16, n);
    Tensor start = memory.arena().allocate("start", DType.BF16, n);
    start.copyFrom(memory.back(full.weights));
    full.weights.copyFrom(start);
    Buffers ours = new Buffers(device, memory, DType.BF16, n);
    Tensor weights = memory.copy(start);
    full.draw(memory, 0);
    ours.draw(memory, 0);
    full.begin();
    full.update();
    ours.begin();
    Rounding rounding = new Rounding(CounterRandom.key(42, "rounding"), 3);
    ours.update(
        new OptimizerKernels.Alone(weights, FIRST, rounding),
        in8Bits ? codes(memory, n) : ours.moments);
    rounded(memory, full.weights, weights);
  }

  /** Whether BF16 weights are these F32 ones, rounded in the first step as the rule has it. */
  private static void rounded(Memory memory, Tensor wide, Tensor weights) {
    float[] exact = memory.back(wide).toFloats();
    Tensor rounded = memory.arena().allocate("rounded", DType.F32, exact.length);
    rounded.copyFrom(memory.back(weights));
    float[] expected = new float[exact.length];
    CounterRandom random = CounterRandom.at(42, "rounding", 1, 3);
    int word = 0;
    for (int i = -FIRST; i < exact.length; i++) {
      word = i % 2 == 0 ? random.nextInt() : word >>> 16;
      if (i >= 0) {
        int bits = Float.floatToRawIntBits(exact[i]) + (word & 0xFFFF);
        expected[i] = Float.intBitsToFloat(bits & 0xFFFF0000);
      }
    }
    assertThat(rounded.toFloats()).isEqualTo(expected);
  }

  /** Ends the step at a gradient that is not finite, and not at those before it. */
  private void arrives(Launcher device, Memory memory, int n) {
    Buffers ours = new Buffers(device, memory, DType.F32, n);
    Tensor stopped = memory.floats(0);
    ours.norm.zero_();
    ours.kernels.begin(ours.norm, ours.rate, 1, null, ours.steps, ours.coefficients, 0);
    for (int i = 0; i < 3; i++) {
      ours.draw(memory, i);
      if (i == 1) {
        ours.gradients.rows(0, 1).copyFrom(memory.floats(Float.NaN));
      }
      float[] before = memory.back(ours.weights).toFloats();
      OptimizerKernels.squares(device, ours.gradients, ours.partial);
      OptimizerKernels.norm(device, ours.partial, ours.norm);
      ours.kernels.arrived(ours.norm, stopped, ours.coefficients);
      ours.update();
      float[] after = memory.back(ours.weights).toFloats();
      if (i == 0) {
        assertThat(after).isNotEqualTo(before);
      } else {
        assertThat(after).isEqualTo(before);
      }
    }
    assertThat(stopped.item()).isEqualTo(1);
    assertThat(ours.steps.item()).isEqualTo(1);
  }

  private void eightBit(Launcher device, Memory memory, DType dtype, int n) {
    Buffers full = new Buffers(device, memory, dtype, n);
    Buffers ours = new Buffers(device, memory, dtype, n);
    List<Moment> coded = codes(memory, n);
    float[] start = memory.back(full.weights).toFloats();
    for (int step = 0; step < 10; step++) {
      full.draw(memory, step);
      full.begin();
      full.update();
      ours.draw(memory, step);
      ours.begin();
      ours.update(new OptimizerKernels.Masters(ours.weights, ours.copy), coded);
      if (step == 0) {
        // The first step starts from zeros, which have codes of their own: nothing is lost yet.
        assertThat(memory.back(ours.weights).toFloats())
            .isEqualTo(memory.back(full.weights).toFloats());
        for (int i = 0; i < coded.size(); i++) {
          nearest(memory, full.moments.get(i).values(), coded.get(i));
        }
      }
    }
    double change = 0;
    double off = 0;
    float[] exact = memory.back(full.weights).toFloats();
    float[] coarse = memory.back(ours.weights).toFloats();
    for (int i = 0; i < n; i++) {
      change += Math.pow(exact[i] - start[i], 2);
      off += Math.pow(coarse[i] - exact[i], 2);
    }
    assertThat(Math.sqrt(off / change)).isLessThan(ofWeightsIn8Bits());
  }

  /** How far ten steps may lead from exact ones: a sign makes a whole step of the least error. */
  private double ofWeightsIn8Bits() {
    return rule.name().equals("Lion") ? 0.5 : 0.05;
  }

  /** Moments of 8 bits, all zero. */
  private List<Moment> codes(Memory memory, int n) {
    List<Moment> moments = new ArrayList<>();
    for (UpdateRule.Remembered each : rule.moments()) {
      Tensor codes = memory.blank(DType.U8, n);
      long[] zeros = new long[n];
      Arrays.fill(zeros, each.code().encode(0) & 0xff);
      codes.copyFrom(memory.longs(zeros));
      Tensor scales = memory.floats(new float[(int) OptimizerKernels.scales(n)]);
      moments.add(new Moment(each.code(), codes, scales));
    }
    return moments;
  }

  /** Whether each code is the nearest to what it stands for, and scales are the largest of 256. */
  private static void nearest(Memory memory, Tensor of, Moment coded) {
    float[] exact = memory.back(of).toFloats();
    float[] scale = memory.back(Objects.requireNonNull(coded.scales())).toFloats();
    Tensor wide = memory.arena().allocate("codes", DType.I64, exact.length);
    wide.copyFrom(memory.back(coded.values()));
    long[] code = wide.toLongs();
    for (int i = 0; i < exact.length; i++) {
      int block = i / StateTensor.BLOCK * StateTensor.BLOCK;
      float most = 0;
      for (int k = block; k < Math.min(block + StateTensor.BLOCK, exact.length); k++) {
        most = Math.max(most, Math.abs(exact[k]));
      }
      assertThat(scale[block / StateTensor.BLOCK]).isEqualTo(most);
      double x = exact[i] / (double) most;
      double best = Double.MAX_VALUE;
      for (int c = 0; c < 256; c++) {
        float value = coded.code().value((byte) c);
        if (coded.code() == DynamicCode.UNSIGNED && value == 0 && x > 0) {
          continue; // a variance above 0 never becomes 0
        }
        best = Math.min(best, Math.abs(value - x));
      }
      assertThat(Math.abs(coded.code().value((byte) code[i]) - x)).isLessThanOrEqualTo(best + 1e-7);
    }
  }
}
