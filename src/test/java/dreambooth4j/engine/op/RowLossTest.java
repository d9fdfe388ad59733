package dreambooth4j.engine.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tape;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.Var;
import dreambooth4j.engine.kernel.LossKernels;
import java.util.Arrays;
import java.util.Objects;
import org.junit.jupiter.api.Test;

/** What each row counts; gradients are held against autograd by {@code OpParityTest}. */
class RowLossTest {
  private static LossKernels.Weights weights(
      Arena arena, int rows, int instances, float lambda, boolean together) {
    float[] ones = new float[rows];
    Arrays.fill(ones, 1);
    Tensor one = arena.floats("1", new float[] {1}, 1);
    return new LossKernels.Weights(
        instances,
        arena.zeros("timesteps", DType.I64, rows),
        one,
        arena.floats("ones", ones, rows),
        arena.floats("prior", new float[] {lambda}, 1),
        one,
        one,
        together);
  }

  /** Rows that are off by 1, 2, 3 … in each of two elements. */
  private static float[] losses(int rows, int instances, float lambda) {
    return losses(rows, instances, lambda, false);
  }

  private static float[] losses(int rows, int instances, float lambda, boolean together) {
    try (Arena arena = Arena.open("test");
        Tape tape = Tape.recording(arena)) {
      float[] off = new float[2 * rows];
      for (int i = 0; i < off.length; i++) {
        off[i] = 1 + i / 2;
      }
      Tensor losses = arena.zeros("losses", DType.F32, 3);
      RowLoss.apply(
          tape,
          tape.input(arena.floats("off", off, rows, 2)),
          arena.zeros("target", DType.F32, rows, 2),
          weights(arena, rows, instances, lambda, together),
          LossKernels.Measure.SQUARED,
          losses);
      return losses.toFloats();
    }
  }

  @Test
  void shouldWeighEachHalfByItsOwnMean() {
    float[] losses = losses(5, 2, 0.4f);
    assertThat(losses[1]).isEqualTo((1 + 4) / 2f);
    assertThat(losses[2]).isEqualTo((9 + 16 + 25) / 3f, within(1e-5f));
    assertThat(losses[0]).isEqualTo(losses[1] + 0.4f * losses[2], within(1e-5f));
  }

  /** sd_dreambooth_extension's split_loss: false. */
  @Test
  void shouldAverageBothHalvesTogetherWhereAsked() {
    float[] losses = losses(5, 2, 0.4f, true);
    assertThat(losses[0]).isEqualTo(55 / 5f * (2 + 3 * 0.4f) / 5, within(1e-5f));
    assertThat(losses[1]).isEqualTo((1 + 4) / 2f);
  }

  @Test
  void shouldMeasureThePriorLossOfWeightZeroWithoutLearningFromIt() {
    float[] losses = losses(4, 2, 0);
    assertThat(losses[2]).isEqualTo((9 + 16) / 2f);
    assertThat(losses[0]).isEqualTo(losses[1]);
  }

  @Test
  void shouldLeaveAnAbsentHalfOut() {
    float[] losses = losses(2, 2, 0.4f);
    assertThat(losses).containsExactly(2.5f, 2.5f, 0);
  }

  /** The gradient of an error of 10²⁰ is finite in F32 and its square is not. */
  @Test
  void shouldGiveNoFiniteGradientWhereTheLossIsNotFinite() {
    try (Arena arena = Arena.open("test");
        Tape tape = Tape.recording(arena)) {
      Tensor losses = arena.zeros("losses", DType.F32, 3);
      Var prediction = tape.input(arena.floats("far", new float[] {1e20f, 1}, 1, 2));
      tape.backward(
          RowLoss.apply(
              tape,
              prediction,
              arena.zeros("target", DType.F32, 1, 2),
              weights(arena, 1, 1, 1, false),
              LossKernels.Measure.SQUARED,
              losses));
      assertThat(losses.toFloats()[0]).isInfinite();
      assertThat(Objects.requireNonNull(prediction.gradient()).isFinite()).isFalse();
    }
  }
}
