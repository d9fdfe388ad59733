package dreambooth4j.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
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
      Threads.share(
          2,
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
                Threads.share(
                    2,
                    9,
                    i -> {
                      throw new IllegalStateException("a part that fails");
                    }))
        .hasMessageContaining("a part that fails");
    assertThat(torch.get_num_threads()).isEqualTo(fitted);
  }

  /** Otherwise memory would be freed that another part still writes. */
  @Test
  void shouldReturnWhenAllPartsHaveEndedThoughOneFails() throws Exception {
    CountDownLatch other = new CountDownLatch(1);
    AtomicBoolean ended = new AtomicBoolean();
    assertThatThrownBy(
            () ->
                Threads.share(
                    2,
                    100,
                    i -> {
                      if (i == 0) {
                        await(other);
                        throw new IllegalStateException("a part that fails");
                      }
                      other.countDown();
                      pause();
                      ended.set(true);
                    }))
        .hasMessage("a part that fails");
    assertThat(ended).isTrue();
  }

  private static void await(CountDownLatch latch) {
    try {
      assertThat(latch.await(1, TimeUnit.MINUTES)).isTrue();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  private static void pause() {
    LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(50));
  }
}
