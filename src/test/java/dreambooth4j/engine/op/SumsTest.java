package dreambooth4j.engine.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import org.junit.jupiter.api.Test;

class SumsTest {
  @Test
  void shouldWeighTermsAndRepeatThoseWithAxesOfOne() {
    try (Arena arena = Arena.open("test")) {
      Tensor a = arena.floats("a", new float[] {1, 2, 3, 4}, 2, 2);
      Tensor b = arena.floats("b", new float[] {10, 20}, 2, 1);
      Tensor sum = WeightedSum.of(arena, new double[] {2, -0.5}, a, b);
      assertThat(sum.toFloats()).containsExactly(-3, -1, -4, -2);
      sum.release();
      assertThat(arena.meter().liveCount()).isEqualTo(2);
    }
  }

  @Test
  void shouldNotReadATermOfWeightZero() {
    try (Arena arena = Arena.open("test")) {
      Tensor infinite = arena.floats("infinite", new float[] {Float.POSITIVE_INFINITY}, 1);
      Tensor one = arena.floats("one", new float[] {1}, 1);
      assertThat(WeightedSum.of(arena, new double[] {0, 3}, infinite, one).toFloats())
          .containsExactly(3);
      assertThat(WeightedSum.of(arena, new double[] {3, 0}, one, infinite).toFloats())
          .containsExactly(3);
    }
  }

  @Test
  void shouldRefuseTermsOfOtherShapes() {
    try (Arena arena = Arena.open("test")) {
      Tensor a = arena.floats("a", new float[] {1, 2}, 2);
      Tensor b = arena.floats("b", new float[] {1, 2, 3}, 3);
      assertThatThrownBy(() -> WeightedSum.of(arena, new double[] {1, 1}, a, b))
          .hasMessage("cannot add F32[3] to F32[2]");
      assertThatThrownBy(() -> RowScaledSum.of(arena, a, b, a, b))
          .hasMessageStartingWith("cannot add rows of F32[3]");
    }
  }
}
