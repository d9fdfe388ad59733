package dreambooth4j.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The pull towards where weights were, by each rule's own definition in F64. */
class AnchorTest {
  private static final int COUNT = 50;
  private static final int STEPS = 5;
  private static final double RATE = 0.01;
  private static final double PULL = 3;
  private static final double BETA1 = 0.9;
  private static final double BETA2 = 0.99;
  private static final double EPSILON = 1e-8;
  private static final double DECAY = 0.5;
  private static final double D0 = 0.1;

  /** Adafactor's clipping is off, and d is one that is found. */
  private static final Map<String, Double> ARGUMENTS = Map.of("clip_threshold", 1e9, "d0", D0);

  private static double[] normal(SplittableRandom random) {
    return random.doubles(COUNT, -1, 1).toArray();
  }

  static Stream<Arguments> rulesAndTargets() {
    return UpdateRules.names().stream()
        .flatMap(name -> Stream.of(Arguments.of(name, true), Arguments.of(name, false)));
  }

  @ParameterizedTest
  @MethodSource("rulesAndTargets")
  void shouldPullAtTheRateOfTheDecay(String name, boolean towardsTheStart) {
    SplittableRandom random = new SplittableRandom(1);
    double[] start = normal(random);
    double[][] gradients = new double[STEPS][];
    try (Arena run = Arena.open("run")) {
      Parameters group = new Parameters(DType.F64);
      Parameter weight = group.declare("w", COUNT);
      group.allocate(run, true);
      weight.weight().copyFrom(start);
      Optimizer optimizer =
          optimizer(run, name, group, new Anchor(PULL, towardsTheStart ? DType.F64 : null));
      UpdateScalars scalars = new UpdateScalars(run).write(RATE, 1);
      for (int step = 0; step < STEPS; step++) {
        gradients[step] = normal(random);
        weight.gradient().copyFrom(gradients[step]);
        scalars.update(optimizer);
      }
      Defined defined = new Defined(name, start, towardsTheStart ? start : new double[COUNT]);
      double rate = (float) RATE;
      for (int step = 0; step < STEPS; step++) {
        defined.step(gradients[step], rate);
      }
      double[] ours = doubles(weight.weight());
      for (int i = 0; i < COUNT; i++) {
        assertThat(ours[i]).isCloseTo(defined.w[i], within(1e-7));
      }
    }
  }

  private static double[] doubles(Tensor of) {
    double[] values = new double[(int) of.count()];
    of.bytes(0, values.length * Double.BYTES).asDoubleBuffer().get(values);
    return values;
  }

  private static Optimizer optimizer(Arena run, String name, Parameters group, Anchor anchor) {
    UpdateRule rule =
        UpdateRules.named(name, new UpdateRule.Constants(BETA1, BETA2, EPSILON, DECAY, ARGUMENTS));
    return new PlainOptimizer(
        run,
        rule,
        Optimizer.Group.alike(List.of(group)),
        new Optimizer.Options(0, false, 0, anchor));
  }

  /** One vector's path, written down from the papers and with the pull of Anchor before it. */
  private static final class Defined {
    final String name;
    final double[] start;
    final double[] anchor;
    final double[] w;
    final double[] m = new double[COUNT];
    final double[] v = new double[COUNT];
    final double[] s = new double[COUNT];
    final double[] z;
    final double[] x;
    double d = D0;
    double numerator;
    double sum;
    int k;

    Defined(String name, double[] start, double[] anchor) {
      this.name = name;
      this.start = start;
      this.anchor = anchor;
      w = start.clone();
      z = start.clone();
      x = start.clone();
    }

    void step(double[] g, double rate) {
      k++;
      switch (name) {
        case "AdamW" -> adamW(g, rate);
        case "Lion" -> lion(g, rate);
        case "SGD" -> sgd(g, rate);
        case "Adafactor" -> adafactor(g, rate);
        case "Prodigy" -> prodigy(g, rate);
        default -> scheduleFree(g, rate);
      }
    }

    private double pulled(int i, double rate) {
      return w[i] - rate * PULL * (w[i] - anchor[i]);
    }

    private void adamW(double[] g, double rate) {
      for (int i = 0; i < COUNT; i++) {
        m[i] = BETA1 * m[i] + (1 - BETA1) * g[i];
        v[i] = BETA2 * v[i] + (1 - BETA2) * g[i] * g[i];
        double root = Math.sqrt(v[i] / (1 - Math.pow(BETA2, k))) + EPSILON;
        double at = pulled(i, rate);
        w[i] = at - rate * (DECAY * at + m[i] / (1 - Math.pow(BETA1, k)) / root);
      }
    }

    private void lion(double[] g, double rate) {
      for (int i = 0; i < COUNT; i++) {
        double at = pulled(i, rate);
        w[i] = at - rate * (DECAY * at + Math.signum(BETA1 * m[i] + (1 - BETA1) * g[i]));
        m[i] = BETA2 * m[i] + (1 - BETA2) * g[i];
      }
    }

    private void sgd(double[] g, double rate) {
      for (int i = 0; i < COUNT; i++) {
        double at = pulled(i, rate);
        double gradient = g[i] + DECAY * at;
        m[i] = 0.9 * m[i] + gradient;
        w[i] = at - rate * (gradient + 0.9 * m[i]);
      }
    }

    private void adafactor(double[] g, double rate) {
      double kept = 1 - Math.pow(k, -0.8);
      for (int i = 0; i < COUNT; i++) {
        v[i] = kept * v[i] + (1 - kept) * (g[i] * g[i] + 1e-30);
        double at = pulled(i, rate);
        w[i] = at - rate * (DECAY * at + g[i] / Math.sqrt(v[i]));
      }
    }

    private void prodigy(double[] g, double rate) {
      double step = d * rate;
      double dot = 0;
      double all = 0;
      for (int i = 0; i < COUNT; i++) {
        dot += g[i] * (start[i] - w[i]);
        m[i] = BETA1 * m[i] + d * (1 - BETA1) * g[i];
        v[i] = BETA2 * v[i] + d * d * (1 - BETA2) * g[i] * g[i];
        s[i] = Math.sqrt(BETA2) * s[i] + d / D0 * step * g[i];
        all += Math.abs(s[i]);
      }
      numerator = Math.sqrt(BETA2) * numerator + d / D0 * step * dot;
      d = Math.max(d, numerator / all);
      for (int i = 0; i < COUNT; i++) {
        double at = pulled(i, step);
        w[i] = at - step * (DECAY * at + m[i] / (Math.sqrt(v[i]) + d * EPSILON));
      }
    }

    private void scheduleFree(double[] g, double rate) {
      double share = rate * rate;
      sum += share;
      share /= sum;
      for (int i = 0; i < COUNT; i++) {
        z[i] -= rate * PULL * (w[i] - anchor[i]);
        double y = BETA1 * x[i] + (1 - BETA1) * z[i];
        v[i] = BETA2 * v[i] + (1 - BETA2) * g[i] * g[i];
        double root = Math.sqrt(v[i] / (1 - Math.pow(BETA2, k))) + EPSILON;
        z[i] -= rate * (g[i] / root + DECAY * y);
        x[i] = (1 - share) * x[i] + share * z[i];
        w[i] = BETA1 * x[i] + (1 - BETA1) * z[i];
      }
    }
  }

  /** Weights that nothing else moves come back by the same part of the distance in each step. */
  @Test
  void shouldComeBackWhereNoGradientHolds() {
    try (Arena run = Arena.open("run")) {
      Parameters group = new Parameters(DType.F32);
      group.declare("w", COUNT);
      group.allocate(run, true);
      group.masters().fill_(1);
      UpdateRule rule = UpdateRules.named("AdamW", new UpdateRule.Constants(0.9, 0.99, 1e-8, 0));
      Optimizer optimizer =
          new PlainOptimizer(
              run,
              rule,
              Optimizer.Group.alike(List.of(group)),
              new Optimizer.Options(0, false, 0, new Anchor(10, DType.F16)));
      UpdateScalars scalars = new UpdateScalars(run).write(RATE, 1);
      scalars.update(optimizer);
      assertThat(group.masters().toFloats()).containsOnly(1f); // where it was
      group.masters().fill_(3);
      scalars.update(optimizer);
      scalars.update(optimizer);
      assertThat(group.masters().toFloats()[0]).isCloseTo(1 + 2 * 0.9f * 0.9f, within(1e-6f));
    }
  }

  @ParameterizedTest
  @MethodSource("copies")
  void shouldKeepOneCopyInTheTypeThatIsAskedFor(@Nullable DType copy, long bytes) {
    try (Arena run = Arena.open("run")) {
      Parameters group = new Parameters(DType.F32);
      group.declare("w", COUNT);
      group.allocate(run, true);
      Optimizer optimizer = optimizer(run, "AdamW", group, new Anchor(1, copy));
      assertThat(optimizer.anchorBytes()).isEqualTo(bytes * group.flatCount());
      Optimizer none = optimizer(run, "AdamW", group, new Anchor(0, copy));
      assertThat(none.anchorBytes()).isZero();
    }
  }

  static Stream<Arguments> copies() {
    return Stream.of(
        Arguments.of(DType.F32, 4), Arguments.of(DType.BF16, 2), Arguments.of(null, 0));
  }
}
