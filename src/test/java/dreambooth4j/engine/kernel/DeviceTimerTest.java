package dreambooth4j.engine.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.engine.Device;
import org.junit.jupiter.api.Test;

/** By the clock, as benches and trials are tried out without a GPU. */
class DeviceTimerTest {
  @Test
  void shouldSayWhatOneCallTakes() {
    assertThat(DeviceTimer.ofCall(Device.CPU, () -> pause(1))).isBetween(0.001, 0.1);
  }

  @Test
  void shouldGiveTheMedianOfSamplesAfterAWarmUp() {
    int[] calls = {0};
    try (DeviceTimer timer = new DeviceTimer(Device.CPU)) {
      DeviceTimer.Time time =
          timer.time(
              () -> {
                calls[0]++;
                pause(calls[0] <= 2 ? 200 : 1); // what comes first is slow
              },
              true);
      assertThat(time.median()).isLessThan(0.1);
      assertThat(time.least()).isLessThanOrEqualTo(time.median());
      assertThat(time.most()).isGreaterThanOrEqualTo(time.median());
    }
  }

  private static void pause(long millis) {
    try {
      Thread.sleep(millis);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }
}
