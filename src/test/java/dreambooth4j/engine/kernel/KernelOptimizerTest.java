package dreambooth4j.engine.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.withinPercentage;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dreambooth4j.engine.Anchor;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Optimizer;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.PlainOptimizer;
import dreambooth4j.engine.Shards;
import dreambooth4j.engine.SilentPeers;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.UpdateRule;
import dreambooth4j.engine.UpdateRules;
import dreambooth4j.engine.UpdateScalars;
import dreambooth4j.engine.op.OpCase;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Optimizers by kernels, emulated, beside the plain ones on the same groups. */
@Tag("kernels")
class KernelOptimizerTest {
  private static UpdateRule rule(String name) {
    return UpdateRules.named(name, new UpdateRule.Constants(0.9, 0.999, 1e-8, 1e-2));
  }

  @BeforeAll
  static void compile() throws IOException, InterruptedException {
    assumeTrue(Emulator.available(), "g++ is not installed");
    Emulator.load();
  }

  /** Two groups; of the first a parameter in the middle is frozen. */
  private static List<Parameters> groups(Arena run, DType dtype) {
    return groups(run, dtype, true, Parameters.Gradients.GATHERED);
  }

  private static List<Parameters> groups(
      Arena run, DType dtype, boolean masters, Parameters.Gradients gradients) {
    List<Parameters> groups = new ArrayList<>();
    SplittableRandom random = new SplittableRandom(1);
    for (int i = 0; i < 2; i++) {
      Parameters group = new Parameters(dtype, masters);
      group.declare("large", 60, 97 + i);
      group.declare("frozen", 300);
      group.declare("conv", 5, 3, 3, 3);
      group.allocate(run, gradients);
      for (Parameter each : group.all()) {
        each.master().copyFrom(OpCase.random(run, DType.F32, random, each.shape()));
      }
      group.copyMasters();
      groups.add(group);
    }
    groups.get(0).all().get(1).freeze();
    return groups;
  }

  private static void draw(Arena run, List<Parameters> groups, int step) {
    SplittableRandom random = new SplittableRandom(100 + step);
    for (Parameters group : groups) {
      for (Parameter each : group.all()) {
        Tensor drawn = OpCase.random(run, DType.F32, random, each.shape());
        if (each.isTrainable()) {
          each.gradient().copyFrom(drawn);
        }
      }
    }
  }

  /** Each rule with each of these rows. */
  private static Stream<Arguments> ofEveryRule(Object[]... rows) {
    return UpdateRules.withKernels().stream()
        .flatMap(
            name ->
                Stream.of(rows)
                    .map(
                        row ->
                            Arguments.of(
                                Stream.concat(Stream.of(name), Stream.of(row)).toArray())));
  }

  private static @Nullable Object[] row(@Nullable Object... values) {
    return values;
  }

  static Stream<Arguments> typesAndScales() {
    return ofEveryRule(
        row(DType.F32, false, 1),
        row(DType.BF16, false, 1),
        row(DType.F16, false, 1024),
        row(DType.F32, true, 1),
        row(DType.BF16, true, 1),
        row(DType.F16, true, 1024));
  }

  @ParameterizedTest
  @MethodSource("typesAndScales")
  void shouldDoWhatThePlainFormDoes(String name, DType dtype, boolean in8Bits, double lossScale) {
    try (Arena run = Arena.open("run")) {
      List<Parameters> theirs = groups(run, dtype);
      List<Parameters> ours = groups(run, dtype);
      float[] start = ours.get(0).masters().toFloats();
      Optimizer.Options options = new Optimizer.Options(1, in8Bits, 7);
      Optimizer plain = new PlainOptimizer(run, rule(name), Optimizer.Group.alike(theirs), options);
      Optimizer kernels =
          new KernelOptimizer(
              new Emulator(false), run, rule(name), Optimizer.Group.alike(ours), options);
      UpdateScalars scalars = new UpdateScalars(run).write(1e-3, lossScale);
      for (int step = 0; step < 6; step++) {
        draw(run, theirs, step);
        draw(run, ours, step);
        if (step == 2) {
          theirs.get(1).all().get(0).gradient().rows(3, 1).copyFrom(infinite(run));
          ours.get(1).all().get(0).gradient().rows(3, 1).copyFrom(infinite(run));
        }
        if (step == 4) {
          plain.freeze(theirs.get(1));
          kernels.freeze(ours.get(1));
        }
        double expected = scalars.update(plain);
        double norm = scalars.update(kernels);
        if (step == 2) {
          assertThat(norm).isNotFinite();
          assertThat(expected).isNotFinite();
        } else {
          assertThat(norm).isCloseTo(expected, withinPercentage(1e-3));
        }
        assertThat(ours.get(0).gradients().toString()).startsWith(dtype.toString());
      }
      for (int i = 0; i < 2; i++) {
        same(run, ours.get(i).masters(), theirs.get(i).masters(), in8Bits ? 2e-3 : 1e-5);
        assertThat(steps(kernels, i)).isEqualTo(steps(plain, i)).isEqualTo(i == 0 ? 5 : 3);
        Tensor rounded = run.allocate("rounded", dtype, ours.get(i).flatCount());
        rounded.copyFrom(ours.get(i).masters());
        same(run, ours.get(i).weights(), rounded, 0);
      }
      assertThat(ours.get(0).masters().toFloats()).isNotEqualTo(start);
      assertThat(ours.get(0).all().get(1).master().toFloats())
          .isEqualTo(theirs.get(0).all().get(1).master().toFloats());
    }
  }

  static Stream<Arguments> typesAndAnchors() {
    return ofEveryRule(
        row(DType.F32, true, false, DType.F32),
        row(DType.BF16, true, false, DType.F16),
        row(DType.F16, true, true, DType.BF16),
        row(DType.F32, true, true, null),
        row(DType.BF16, false, false, DType.BF16),
        row(DType.BF16, false, true, DType.F32));
  }

  /** Weights of BF16 alone are the same bits, but for an update that rounds to another number. */
  @ParameterizedTest
  @MethodSource("typesAndAnchors")
  void shouldPullAsThePlainFormDoes(
      String name, DType dtype, boolean masters, boolean in8Bits, @Nullable DType copy) {
    try (Arena run = Arena.open("run")) {
      List<Parameters> theirs = groups(run, dtype, masters, Parameters.Gradients.GATHERED);
      List<Parameters> ours = groups(run, dtype, masters, Parameters.Gradients.GATHERED);
      List<Parameters> free = groups(run, dtype, masters, Parameters.Gradients.GATHERED);
      Optimizer.Options pulling = new Optimizer.Options(0, in8Bits, 7, new Anchor(100, copy));
      Optimizer plain = new PlainOptimizer(run, rule(name), Optimizer.Group.alike(theirs), pulling);
      Optimizer kernels =
          new KernelOptimizer(
              new Emulator(false), run, rule(name), Optimizer.Group.alike(ours), pulling);
      Optimizer without = byKernels(run, rule(name), free, in8Bits);
      UpdateScalars scalars = new UpdateScalars(run).write(1e-3, 1);
      for (int step = 0; step < 4; step++) {
        for (List<Parameters> each : List.of(theirs, ours, free)) {
          draw(run, each, step);
        }
        scalars.update(plain);
        scalars.update(kernels);
        scalars.update(without);
      }
      for (int i = 0; i < 2; i++) {
        double limit = masters ? (in8Bits ? 2e-3 : 1e-5) : 0.04;
        same(run, ours.get(i).masters(), theirs.get(i).masters(), limit);
        assertThat(wide(run, ours.get(i).masters())).isNotEqualTo(wide(run, free.get(i).masters()));
      }
    }
  }

  static Stream<Arguments> typesAndMasters() {
    return ofEveryRule(
        row(DType.F32, true, false),
        row(DType.F32, true, true),
        row(DType.BF16, true, false),
        row(DType.BF16, true, true),
        row(DType.BF16, false, false),
        row(DType.BF16, false, true));
  }

  /** As they arrive, one by one, or gathered first: the same bits, for there is no clipping. */
  @ParameterizedTest
  @MethodSource("typesAndMasters")
  void shouldUpdateTheSameBitsAsGradientsArrive(
      String name, DType dtype, boolean masters, boolean in8Bits) {
    try (Arena run = Arena.open("run")) {
      List<Parameters> gathered = groups(run, dtype, masters, Parameters.Gradients.GATHERED);
      List<Parameters> passed = groups(run, dtype, masters, Parameters.Gradients.PASSED_ON);
      Optimizer whole = byKernels(run, rule(name), gathered, in8Bits);
      Optimizer each = byKernels(run, rule(name), passed, in8Bits);
      UpdateScalars scalars = new UpdateScalars(run).write(1e-3, 1);
      for (int step = 0; step < 4; step++) {
        draw(run, gathered, step);
        double expected = scalars.update(whole);
        assertThat(arrive(run, each, passed, step, null))
            .isCloseTo(expected, withinPercentage(1e-3));
      }
      for (int i = 0; i < 2; i++) {
        assertThat(wide(run, passed.get(i).weights()))
            .isEqualTo(wide(run, gathered.get(i).weights()));
        assertThat(wide(run, passed.get(i).masters()))
            .isEqualTo(wide(run, gathered.get(i).masters()));
        assertThat(steps(each, i)).isEqualTo(4);
      }
    }
  }

  static Stream<Arguments> typesAndMoments() {
    return ofEveryRule(
        row(DType.F32, false), row(DType.F32, true), row(DType.BF16, false), row(DType.BF16, true));
  }

  /** As two optimizers would, one for each; gathered and arriving. */
  @ParameterizedTest
  @MethodSource("typesAndMoments")
  void shouldLearnAtTheRateOfEachGroup(String name, DType dtype, boolean in8Bits) {
    try (Arena run = Arena.open("run")) {
      List<Parameters> apart = groups(run, dtype);
      List<Parameters> gathered = groups(run, dtype);
      List<Parameters> passed = groups(run, dtype, true, Parameters.Gradients.PASSED_ON);
      Optimizer first = byKernels(run, rule(name), apart.subList(0, 1), in8Bits);
      Optimizer second = byKernels(run, rule(name), apart.subList(1, 2), in8Bits);
      Optimizer together = atQuarterRate(run, rule(name), gathered, in8Bits);
      Optimizer arriving = atQuarterRate(run, rule(name), passed, in8Bits);
      for (int step = 0; step < 3; step++) {
        draw(run, apart, step);
        draw(run, gathered, step);
        UpdateScalars scalars = new UpdateScalars(run).write(1e-3, 1);
        scalars.update(first);
        scalars.update(together);
        scalars.write(0.25 * 1e-3, 1).update(second);
        arrive(run, arriving, passed, step, null);
      }
      for (int i = 0; i < 2; i++) {
        float[] expected = wide(run, apart.get(i).masters());
        assertThat(wide(run, gathered.get(i).masters())).isEqualTo(expected);
        assertThat(wide(run, passed.get(i).masters())).isEqualTo(expected);
      }
    }
  }

  /** The second group learns at a quarter of the first one's rate. */
  private static Optimizer atQuarterRate(
      Arena run, UpdateRule rule, List<Parameters> groups, boolean in8Bits) {
    List<Optimizer.Group> rated =
        List.of(new Optimizer.Group(groups.get(0), 1), new Optimizer.Group(groups.get(1), 0.25));
    Optimizer.Options options = new Optimizer.Options(0, in8Bits, 7);
    return new KernelOptimizer(new Emulator(false), run, rule, rated, options);
  }

  /** What came before it is updated, what comes after it is not, in both groups; it is named. */
  @ParameterizedTest
  @CsvSource({"F32,true", "BF16,false"})
  void shouldStopAtAGradientThatIsNotFinite(DType dtype, boolean masters) {
    try (Arena run = Arena.open("run")) {
      List<Parameters> groups = groups(run, dtype, masters, Parameters.Gradients.PASSED_ON);
      Optimizer optimizer = byKernels(run, rule(UpdateRules.DEFAULT), groups, true);
      Parameter bad = groups.get(0).all().get(2);
      List<float[]> before = weights(run, groups);
      assertThat(arrive(run, optimizer, groups, 0, bad)).isNaN();
      assertThat(optimizer.badGradient()).isSameAs(bad);
      List<float[]> after = weights(run, groups);
      assertThat(after.get(0)).isNotEqualTo(before.get(0));
      for (int i = 1; i < after.size(); i++) {
        assertThat(after.get(i)).isEqualTo(before.get(i));
      }
      assertThat(arrive(run, optimizer, groups, 1, null)).isFinite();
      assertThat(optimizer.badGradient()).isNull();
      assertThat(weights(run, groups).get(5)).isNotEqualTo(before.get(5));
    }
  }

  private static List<float[]> weights(Arena run, List<Parameters> groups) {
    return groups.stream()
        .flatMap(group -> group.all().stream())
        .map(each -> wide(run, each.weight()))
        .toList();
  }

  private static Optimizer byKernels(
      Arena run, UpdateRule rule, List<Parameters> groups, boolean in8Bits) {
    Optimizer.Options options = new Optimizer.Options(0, in8Bits, 7);
    return new KernelOptimizer(
        new Emulator(false), run, rule, Optimizer.Group.alike(groups), options);
  }

  /** A step whose gradients, those of {@link #draw}, arrive one by one; its norm. */
  private static double arrive(
      Arena run, Optimizer to, List<Parameters> groups, int step, @Nullable Parameter bad) {
    UpdateScalars scalars = new UpdateScalars(run).write(1e-3, 1);
    scalars.begin(to);
    SplittableRandom random = new SplittableRandom(100 + step);
    for (Parameters group : groups) {
      for (Parameter each : group.all()) {
        Tensor drawn = OpCase.random(run, DType.F32, random, each.shape());
        if (each.isTrainable()) {
          each.gradient().copyFrom(drawn);
          if (each == bad) {
            float[] none = new float[(int) each.count()];
            Arrays.fill(none, Float.NaN);
            each.gradient().copyFrom(run.floats("none", none, each.shape()));
          }
          to.updateArrived();
        }
      }
    }
    return scalars.update(to);
  }

  static Stream<Arguments> typesAndRanks() {
    return ofEveryRule(
        row(DType.F32, true, false, 0),
        row(DType.F32, true, true, 1),
        row(DType.BF16, true, false, 1),
        row(DType.BF16, false, true, 0));
  }

  /** Each process updates its own stretch as one that updates all, and leaves the rest alone. */
  @ParameterizedTest
  @MethodSource("typesAndRanks")
  void shouldUpdateItsOwnStretch(
      String name, DType dtype, boolean masters, boolean in8Bits, int rank) {
    try (Arena run = Arena.open("run")) {
      List<Parameters> whole = groups(run, dtype, masters, Parameters.Gradients.GATHERED);
      List<Parameters> cut = groups(run, dtype, masters, Parameters.Gradients.GATHERED);
      List<float[]> start = cut.stream().map(each -> wide(run, each.masters())).toList();
      Shards shards = new Shards(new SilentPeers(rank, 2));
      Anchor pull = new Anchor(10, null);
      Optimizer.Options options = new Optimizer.Options(0, in8Bits, 7, pull, shards);
      Optimizer.Options all = new Optimizer.Options(0, in8Bits, 7, pull);
      Optimizer one =
          new KernelOptimizer(
              new Emulator(false), run, rule(name), Optimizer.Group.alike(whole), all);
      Optimizer part =
          new KernelOptimizer(
              new Emulator(false), run, rule(name), Optimizer.Group.alike(cut), options);
      UpdateScalars scalars = new UpdateScalars(run).write(1e-3, 1);
      for (int step = 0; step < 3; step++) {
        draw(run, whole, step);
        draw(run, cut, step);
        double norm = scalars.update(one);
        assertThat(scalars.update(part)).isBetween(norm / 10, norm * 0.999);
      }
      for (int i = 0; i < 2; i++) {
        Parameters.Span own = shards.own(cut.get(i).flatCount());
        float[] expected = wide(run, whole.get(i).masters());
        float[] now = wide(run, cut.get(i).masters());
        assertThat(own.length()).isBetween(1L, cut.get(i).flatCount() - 1);
        for (int at = 0; at < now.length; at++) {
          boolean inside = at >= own.from() && at < own.from() + own.length();
          assertThat(now[at]).isEqualTo(inside ? expected[at] : start.get(i)[at]);
        }
      }
    }
  }

  private static double steps(Optimizer of, int group) {
    return of.states().get(group).steps().item();
  }

  private static Tensor infinite(Arena run) {
    float[] row = new float[98];
    row[5] = Float.POSITIVE_INFINITY;
    return run.floats("infinite", row, 1, 98);
  }

  private static void same(Arena run, Tensor actual, Tensor expected, double limit) {
    float[] a = wide(run, actual);
    float[] e = wide(run, expected);
    double worst = 0;
    for (int i = 0; i < e.length; i++) {
      worst = Math.max(worst, Math.abs(a[i] - e[i]));
    }
    assertThat(worst).isLessThanOrEqualTo(limit);
  }

  private static float[] wide(Arena run, Tensor of) {
    Tensor wide = run.allocate("wide", DType.F32, of.shape());
    wide.copyFrom(of);
    return wide.toFloats();
  }
}
