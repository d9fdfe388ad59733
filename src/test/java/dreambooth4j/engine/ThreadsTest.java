package dreambooth4j.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.stream.LongStream;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class ThreadsTest {
  private final int before = torch.get_num_threads();
  private final int all = Threads.withAll(torch::get_num_threads);
  private final int fitted = all + 1;

  @BeforeEach
  void fit() {
    torch.set_num_threads(fitted);
  }

  @AfterEach
  void restore() {
    torch.set_num_threads(before);
  }

  @Test
  void shouldWorkWithAllThreadsMeanwhile() {
    assertThat(Threads.<Integer>withAll(() -> Threads.withAll(torch::get_num_threads)))
        .isEqualTo(all);
    assertThat(torch.get_num_threads()).isEqualTo(fitted);
  }

  @Test
  void shouldRestoreTheThreadsWhereACallFails() {
    assertThatThrownBy(
            () ->
                Threads.withAll(
                    () -> {
                      throw new IllegalStateException("a call that fails");
                    }))
        .hasMessage("a call that fails");
    assertThat(torch.get_num_threads()).isEqualTo(fitted);
  }

  @Test
  void shouldShareWorkOnTensorsOfOneArena() {
    try (Arena arena = Arena.open("shared")) {
      Tensor all = arena.zeros("all", DType.I64, 500);
      long live = arena.meter().liveCount();
      Threads.shareAmongAll(
          500,
          i -> {
            Tensor own = arena.longs("own", new long[] {i}, 1);
            Tensor place = all.rows(i, 1);
            assertThat(torch.get_num_threads()).isEqualTo(1);
            place.copyFrom(own);
            place.release();
            own.release();
          });
      assertThat(all.toLongs()).isEqualTo(LongStream.range(0, 500).toArray());
      assertThat(arena.meter().liveCount()).isEqualTo(live);
    }
    assertThat(torch.get_num_threads()).isEqualTo(fitted);
  }

  @Test
  void shouldPassOnWhatFailsInAPart() {
    assertThatThrownBy(
            () ->
                Threads.shareAmongAll(
                    9,
                    i -> {
                      throw new IllegalStateException("a part that fails");
                    }))
        .hasMessageContaining("a part that fails");
    assertThat(torch.get_num_threads()).isEqualTo(fitted);
  }
}
