package dreambooth4j.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Moments of 8 bits beside exact ones, masters, and rounding at random. */
class OptimizerTest {
  private static UpdateRule rule(double weightDecay) {
    return UpdateRules.named(
        UpdateRules.DEFAULT, new UpdateRule.Constants(0.9, 0.999, 1e-8, weightDecay));
  }

  private static Optimizer optimizer(
      Arena run, UpdateRule rule, Parameters group, double maxNorm, boolean in8Bits) {
    return new PlainOptimizer(
        run,
        rule,
        Optimizer.Group.alike(List.of(group)),
        new Optimizer.Options(maxNorm, in8Bits, 7));
  }

  /** Three parameters of odd sizes and magnitudes, one of them in several chunks. */
  private static Parameters parameters(Arena run) {
    Parameters parameters = new Parameters(DType.F32);
    parameters.declare("large", 97, 101);
    parameters.declare("one", 1);
    parameters.declare("conv", 5, 3, 3, 3);
    parameters.allocate(run, true);
    SplittableRandom random = new SplittableRandom(1);
    for (Parameter each : parameters.all()) {
      each.weight().copyFrom(normal(random, each.count(), 0.1));
    }
    return parameters;
  }

  private static float[] normal(SplittableRandom random, long count, double deviation) {
    float[] values = new float[(int) count];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (random.nextGaussian() * deviation);
    }
    return values;
  }

  @Test
  void shouldStayNearTheExactPathWithMomentsOf8Bits() {
    try (Arena run = Arena.open("run")) {
      Parameters exact = parameters(run);
      Parameters small = parameters(run);
      Optimizer exactly = optimizer(run, rule(0.01), exact, 60, false);
      Optimizer roughly = optimizer(run, rule(0.01), small, 60, true);
      UpdateScalars scalars = new UpdateScalars(run).write(1e-3, 1);
      float[] start = exact.weights().toFloats();
      SplittableRandom random = new SplittableRandom(2);
      for (int step = 0; step < 50; step++) {
        for (int i = 0; i < exact.all().size(); i++) {
          long count = exact.all().get(i).count();
          float[] gradient = normal(random, count, Math.pow(10, -2 * i));
          exact.all().get(i).gradient().copyFrom(gradient);
          small.all().get(i).gradient().copyFrom(gradient);
        }
        assertThat(scalars.update(exactly)).isGreaterThan(60); // clipped
        scalars.update(roughly);
        if (step == 0) { // nothing has been rounded yet
          assertThat(error(small, exact, start)).isLessThan(1e-5);
        }
      }
      assertThat(error(small, exact, start)).isLessThan(0.05);
    }
  }

  /** Of the way that the weights have gone. */
  private static double error(Parameters actual, Parameters expected, float[] start) {
    float[] a = actual.weights().toFloats();
    float[] e = expected.weights().toFloats();
    double error = 0;
    double moved = 0;
    for (int i = 0; i < start.length; i++) {
      error += Math.pow(a[i] - e[i], 2);
      moved += Math.pow(e[i] - start[i], 2);
    }
    assertThat(moved).isPositive();
    return Math.sqrt(error / moved);
  }

  @Test
  void shouldHoldAQuarterOfTheStates() {
    try (Arena run = Arena.open("run")) {
      Parameters parameters = parameters(run);
      long before = run.meter().liveBytes();
      optimizer(run, rule(0.01), parameters, 0, true);
      long n = parameters.flatCount();
      assertThat(run.meter().liveBytes() - before).isEqualTo(2 * n + 2 * 4 * n / 256 + 4);
    }
  }

  /** Each step is a hundredth of what bf16 can tell apart at 1. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void shouldAddUpInMastersWhatIsTooSmallForTheWeights(boolean in8Bits) {
    try (Arena run = Arena.open("run")) {
      Parameters parameters = new Parameters(DType.BF16);
      parameters.declare("ones", 3, 100);
      parameters.allocate(run, true);
      parameters.masters().fill_(1);
      parameters.copyMasters();
      Optimizer optimizer = optimizer(run, rule(0), parameters, 0, in8Bits);
      UpdateScalars scalars = new UpdateScalars(run).write(0x1p-8 / 100, 1);
      for (int step = 0; step < 100; step++) {
        parameters.gradients().fill_(2);
        assertThat(scalars.update(optimizer)).isCloseTo(2 * Math.sqrt(4096), within(1e-6));
        if (step == 0) {
          assertThat(all(run, parameters.weights())).containsOnly(1f);
          assertThat(all(run, parameters.masters())).allMatch(w -> w < 1 && w > 0.9999f);
        }
      }
      assertThat(all(run, parameters.masters())).allMatch(w -> Math.abs(w - (1 - 0x1p-8)) < 1e-4);
      assertThat(all(run, parameters.weights())).containsOnly(1 - 0x1p-8f);
    }
  }

  /** A step is a hundredth of what bf16 can tell apart: of many weights some move in each. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void shouldMoveWeightsWithoutMastersRightOnAverage(boolean in8Bits) {
    try (Arena run = Arena.open("run")) {
      Parameters parameters = new Parameters(DType.BF16, false);
      parameters.declare("ones", 30, 1000);
      parameters.allocate(run, true);
      assertThat(parameters.hasMasters()).isFalse();
      parameters.weights().fill_(1);
      Optimizer optimizer = optimizer(run, rule(0), parameters, 0, in8Bits);
      UpdateScalars scalars = new UpdateScalars(run).write(0x1p-8 / 100, 1);
      for (int step = 0; step < 50; step++) {
        parameters.gradients().fill_(2);
        scalars.update(optimizer);
        if (step == 0) {
          assertThat(all(run, parameters.weights())).containsOnly(1f, 1 - 0x1p-8f);
        }
      }
      double mean =
          all(run, parameters.weights()).stream().mapToDouble(w -> w).average().orElseThrow();
      assertThat(mean).isCloseTo(1 - 0.5 * 0x1p-8, within(0.02 * 0x1p-8));
    }
  }

  /** Gathered at once, or as they arrive in any order and size: the rounding is the element's. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void shouldRoundTheSameWayHoweverGradientsCome(boolean in8Bits) {
    try (Arena run = Arena.open("run")) {
      List<List<Float>> weights = new ArrayList<>();
      for (Parameters.Gradients kind :
          List.of(Parameters.Gradients.GATHERED, Parameters.Gradients.PASSED_ON)) {
        Parameters parameters = new Parameters(DType.BF16, false);
        parameters.declare("large", 1100, 1001);
        parameters.declare("one", 1);
        parameters.declare("conv", 5, 3, 3, 3);
        parameters.allocate(run, kind);
        Optimizer optimizer = optimizer(run, rule(0.01), parameters, 0, in8Bits);
        UpdateScalars scalars = new UpdateScalars(run).write(1e-3, 1);
        for (int step = 0; step < 2; step++) {
          scalars.begin(optimizer);
          for (int i = 2; i >= 0; i--) {
            Parameter each = parameters.all().get(i);
            SplittableRandom random = new SplittableRandom(10 * step + i);
            each.gradient()
                .copyFrom(run.floats("drawn", normal(random, each.count(), 1), each.shape()));
            if (kind == Parameters.Gradients.PASSED_ON) {
              optimizer.updateArrived();
            }
          }
          scalars.update(optimizer);
        }
        weights.add(all(run, parameters.weights()));
      }
      assertThat(weights.get(1)).isEqualTo(weights.get(0));
      assertThat(weights.get(0)).anyMatch(w -> w != 0);
    }
  }

  /** As two optimizers would, one for each. */
  @ParameterizedTest
  @EnumSource(names = {"GATHERED", "PASSED_ON"})
  void shouldLearnAtTheRateOfEachGroup(Parameters.Gradients kind) {
    try (Arena run = Arena.open("run")) {
      List<Parameters> together = List.of(group(run, kind), group(run, kind));
      List<Parameters> apart = List.of(group(run, kind), group(run, kind));
      List<Optimizer.Group> rated =
          List.of(
              new Optimizer.Group(together.get(0), 1), new Optimizer.Group(together.get(1), 0.25));
      Optimizer both = new PlainOptimizer(run, rule(0.01), rated, Optimizer.Options.PLAIN);
      Optimizer first = optimizer(run, rule(0.01), apart.get(0), 0, false);
      Optimizer second = optimizer(run, rule(0.01), apart.get(1), 0, false);
      for (int step = 0; step < 3; step++) {
        step(run, both, 1e-3, together, step);
        step(run, first, 1e-3, apart.subList(0, 1), step);
        step(run, second, 0.25 * 1e-3, apart.subList(1, 2), step);
      }
      for (int i = 0; i < 2; i++) {
        assertThat(all(run, together.get(i).weights())).isEqualTo(all(run, apart.get(i).weights()));
      }
      assertThat(all(run, together.get(0).weights()))
          .isNotEqualTo(all(run, together.get(1).weights()));
    }
  }

  private static Parameters group(Arena run, Parameters.Gradients kind) {
    Parameters group = new Parameters(DType.F32);
    group.declare("w", 30, 100);
    group.allocate(run, kind);
    group.weights().fill_(1);
    return group;
  }

  /** A step of gradients that are the same for every group. */
  private static void step(
      Arena run, Optimizer optimizer, double rate, List<Parameters> groups, int number) {
    UpdateScalars scalars = new UpdateScalars(run).write(rate, 1);
    scalars.begin(optimizer);
    for (Parameters each : groups) {
      float[] drawn = normal(new SplittableRandom(number), 3000, 1);
      each.all().get(0).gradient().copyFrom(run.floats("drawn", drawn, 30, 100));
    }
    optimizer.updateArrived();
    scalars.update(optimizer);
  }

  @Test
  void shouldRefuseF16WithoutMasters() {
    try (Arena run = Arena.open("run")) {
      Parameters weights = new Parameters(DType.F16, false);
      assertThatThrownBy(() -> weights.allocate(run, Parameters.Gradients.GATHERED))
          .isInstanceOf(IllegalStateException.class);
    }
  }

  private static List<Float> all(Arena run, Tensor tensor) {
    Tensor wide = run.allocate("wide", DType.F32, tensor.shape());
    wide.copyFrom(tensor);
    List<Float> values = new ArrayList<>();
    for (float value : wide.toFloats()) {
      values.add(value);
    }
    return values;
  }

  /** Several pieces, which threads share, and a remainder. */
  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16"})
  void shouldUpdateEveryWeightOnceHoweverManyPiecesThereAre(DType dtype) {
    try (Arena run = Arena.open("run")) {
      Parameters group = new Parameters(dtype);
      group.declare("large", 1_700_123);
      group.declare("small", 3);
      group.allocate(run, true);
      Optimizer optimizer = optimizer(run, rule(0), group, 0, false);
      double squares = 0;
      for (Parameter each : group.all()) {
        float[] gradient = new float[(int) each.count()];
        for (int i = 0; i < gradient.length; i++) {
          gradient[i] = (i % 3 - 1) * 0.5f;
          squares += gradient[i] * gradient[i];
        }
        each.gradient().copyFrom(run.floats("gradient", gradient, gradient.length));
      }
      double norm = new UpdateScalars(run).write(1e-2, 1).update(optimizer);
      assertThat(norm).isEqualTo(Math.sqrt(squares), within(1e-3));
      for (Parameter each : group.all()) {
        float[] moved = each.master().toFloats();
        for (int i = 0; i < moved.length; i++) { // the first step goes as far whatever the size
          assertThat(moved[i]).isEqualTo((1 - i % 3) * 1e-2f, within(1e-6f));
        }
        assertThat(wide(run, each.weight()).toFloats())
            .isEqualTo(wide(run, rounded(run, moved, dtype)).toFloats());
      }
      assertThat(optimizer.states().get(0).steps().item()).isEqualTo(1);
    }
  }

  private static Tensor rounded(Arena run, float[] values, DType dtype) {
    Tensor as = run.allocate("rounded", dtype, values.length);
    as.copyFrom(run.floats("values", values, values.length));
    return as;
  }

  private static Tensor wide(Arena run, Tensor any) {
    Tensor wide = run.allocate("wide", DType.F32, any.count());
    wide.copyFrom(any);
    return wide;
  }
}
