package dreambooth4j.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

/** What passes between the host and memory that it cannot look into. */
class StagedArenaTest {
  @Test
  void shouldCopyNumbersThereAndBack() {
    try (Arena run = Arena.staged("run")) {
      Tensor floats = run.floats("floats", new float[] {1, -2, 3, 4}, 2, 2);
      Tensor longs = run.longs("longs", new long[] {5, -6}, 2);
      Tensor doubles = run.allocate("doubles", DType.F64, 1);
      doubles.copyFrom(new double[] {0.1});
      assertThat(floats.toFloats()).containsExactly(1, -2, 3, 4);
      assertThat(longs.toLongs()).containsExactly(5, -6);
      assertThat(doubles.item()).isEqualTo(0.1);
      Tensor row = floats.rows(1, 1);
      row.copyFrom(new float[] {7, 8});
      assertThat(floats.toFloats()).containsExactly(1, -2, 7, 8);
    }
  }

  @Test
  void shouldNotLookIntoADevicesMemory() {
    try (Arena run = Arena.staged("run")) {
      Tensor tensor = run.zeros("zeros", DType.F32, 3);
      assertThatThrownBy(() -> tensor.bytes(0, 4))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("lies on a device");
    }
  }

  @Test
  void shouldCountWhatLiesOnTheHostApart() {
    try (Arena run = Arena.staged("run")) {
      Tensor tensor = run.zeros("zeros", DType.F32, 100);
      run.meter().resetPeak();
      assertThat(tensor.toFloats()).hasSize(100);
      assertThat(run.meter().peakBytes()).isEqualTo(400);
      assertThat(run.onHost().zeros("there", DType.F32, 10).arena().meter().liveBytes())
          .isEqualTo(40);
      assertThat(run.meter().liveBytes()).isEqualTo(400);
    }
  }

  /** 20 million numbers are more than one piece. */
  @Test
  void shouldCopyPieceByPiece() {
    try (Arena run = Arena.staged("run")) {
      int count = 20_000_000;
      Tensor tensor = run.zeros("zeros", DType.F32, count);
      float[] values = new float[count];
      for (int i = 0; i < count; i++) {
        values[i] = i % 1000;
      }
      tensor.copyFrom(values);
      long[] pieces = new long[2];
      tensor.readBytes(
          (bytes, offset) -> {
            long first = offset / 4 % 1000;
            assertThat(bytes.asFloatBuffer().get(0)).isEqualTo((float) first);
            pieces[0]++;
            pieces[1] += bytes.remaining();
          });
      assertThat(pieces).containsExactly(2, 4L * count);
      assertThat(tensor.toFloats()).isEqualTo(values);
    }
  }
}
