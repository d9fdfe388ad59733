package dreambooth4j.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dreambooth4j.Problem;
import dreambooth4j.engine.op.OpBackend;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ArenaTest {
  @Test
  void shouldCountWhatLivesInTheWholeTree() {
    try (Arena run = Arena.open("run")) {
      Tensor weights = run.zeros("weights", DType.F32, 3, 5);
      try (Arena step = run.child("step")) {
        step.zeros("activation", DType.F64, 7);
        weights.retain();
        Tensor view = weights.reshaped(15);
        view.release();
        weights.release();
        assertThat(run.meter().liveCount()).isEqualTo(2);
        assertThat(run.meter().liveBytes()).isEqualTo(3 * 5 * 4 + 7 * 8);
      }
      assertThat(run.meter().liveCount()).isEqualTo(1);
      assertThat(run.meter().liveBytes()).isEqualTo(60);
      assertThat(run.meter().peakBytes()).isEqualTo(116);
      run.close();
      assertThat(run.meter().liveCount()).isZero();
      assertThat(run.meter().liveBytes()).isZero();
    }
  }

  @Test
  void shouldKeepTheBytesOfAViewAlive() {
    try (Arena run = Arena.open("run")) {
      Tensor base = run.floats("base", new float[] {1, 2, 3, 4, 5, 6}, 2, 3);
      Tensor row = base.rows(1, 1);
      base.release();
      assertThat(row.toFloats()).containsExactly(4, 5, 6);
      assertThat(run.meter().liveBytes()).isEqualTo(24);
      row.release();
      assertThat(run.meter().liveBytes()).isZero();
    }
  }

  /** All ops see rows in what they are given, and the host and our kernels read it as it lies. */
  @Test
  void shouldLayOutInOrderWhatLibtorchDoesNot() {
    try (Arena run = Arena.open("run")) {
      Tensor matrix = run.floats("matrix", new float[] {1, 2, 3, 4, 5, 6}, 2, 3);
      Tensor transposed = run.compute("transpose", () -> matrix.handle().t());
      assertThat(transposed.toFloats()).containsExactly(1, 4, 2, 5, 3, 6);
      assertThat(transposed.reshaped(6).toFloats()).containsExactly(1, 4, 2, 5, 3, 6);
      assertThatThrownBy(() -> matrix.view("column", it -> it.narrow(1, 0, 1)))
          .hasRootCauseMessage("column of F32[2, 3] skips bytes of it");
    }
  }

  @Test
  void shouldSayTheMostOfAWorkAndRememberTheMostOfAll() {
    try (Arena run = Arena.open("run")) {
      Tensor held = run.zeros("held", DType.F32, 5);
      run.zeros("large", DType.F32, 100).release();
      assertThat(run.meter().peakOf(() -> run.zeros("small", DType.F32, 10).release()))
          .isEqualTo(60);
      assertThat(run.meter().peakBytes()).isEqualTo(420);
      held.release();
    }
  }

  @Test
  void shouldRefuseWhatItsLimitForbids() {
    try (Arena run = Arena.open("run")) {
      run.meter().limit(100);
      run.zeros("small", DType.F32, 20);
      assertThatThrownBy(() -> run.zeros("large", DType.F32, 6))
          .isInstanceOf(Problem.class)
          .hasMessageContaining("large: wanted 24 bytes")
          .hasMessageContaining("of the 100 that the system had left 80 are in use");
    }
  }

  /** What an op makes counts as what is asked for does; views are nobody's bytes. */
  @Test
  void shouldRefuseResultsThatItsLimitForbids() {
    try (Arena run = Arena.open("run")) {
      run.meter().limit(100);
      Tensor small = run.zeros("small", DType.F32, 20);
      assertThatThrownBy(() -> run.compute("sum", () -> small.handle().add(small.handle())))
          .isInstanceOf(Problem.class)
          .hasMessageContaining("sum: wanted 80 bytes");
      assertThat(run.meter().liveBytes()).isEqualTo(80);
      assertThat(small.rows(1, 10).toFloats()).hasSize(10);
    }
  }

  @Test
  void shouldSayInWordsThatTheMachineHasNotSoMuch() {
    try (Arena run = Arena.open("run")) {
      assertThatThrownBy(() -> run.allocate("huge", DType.F32, 1L << 50))
          .isInstanceOf(Problem.class)
          .hasMessageContaining("huge: out of memory (")
          .hasMessageContaining(String.valueOf(1L << 52));
    }
  }

  @Test
  void shouldCountByPartsWithoutHoldingAnythingWhenDry() {
    try (Arena run = Arena.open("plan", OpBackend.dry(Device.CPU))) {
      run.meter().part("large");
      Tensor large = run.allocate("large", DType.F32, 1L << 50);
      run.meter().part("small");
      Tensor small = run.zeros("small", DType.F32, 2, 3);
      large.release();
      assertThat(small.toFloats()).containsOnly(0);
      assertThat(run.meter().liveBytes()).isEqualTo(24);
      assertThat(run.meter().peakBytes()).isEqualTo((1L << 52) + 24);
      assertThat(run.meter().peakParts()).isEqualTo(Map.of("large", 1L << 52, "small", 24L));
    }
  }

  @Test
  void shouldRefuseATensorAfterItsRelease() {
    try (Arena run = Arena.open("run")) {
      Tensor tensor = run.zeros("t", DType.F32, 2);
      tensor.release();
      assertThatThrownBy(tensor::handle).hasMessageContaining("after it was released");
      assertThatThrownBy(tensor::release).hasMessageContaining("released twice");
    }
  }

  @Test
  void shouldSayWhatFailedInOneLine() {
    try (Arena run = Arena.open("run")) {
      Tensor tensor = run.zeros("t", DType.F32, 2, 3);
      assertThatThrownBy(() -> tensor.reshaped(4, 2))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageStartingWith("reshape: ")
          .message()
          .doesNotContain("\n");
    }
  }

  @Test
  void shouldSayThatTheMachineHasNoSuchMemory() {
    try (Arena run = Arena.open("run")) {
      assertThatThrownBy(() -> run.allocate("too much", DType.F32, 1L << 46))
          .isInstanceOfSatisfying(
              Problem.class, e -> assertThat(e.kind()).isEqualTo(Problem.Kind.MEMORY))
          .hasMessageContaining("too much: out of memory")
          .hasMessageContaining("281474976710656 bytes");
    }
  }
}
