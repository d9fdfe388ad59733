package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class ScheduleTest {
  @Test
  void shouldCountStepsBeforeEpochs() {
    assertThat(Schedule.of(7, 3, 5).every()).isEqualTo(7);
    assertThat(Schedule.of(0, 3, 5).every()).isEqualTo(15);
  }

  @Test
  void shouldComeRoundFromTheFirstStepOfTheRun() {
    Schedule schedule = Schedule.of(5, 0, 1);
    assertThat(schedule.after(0)).isEqualTo(5);
    assertThat(schedule.after(4)).isEqualTo(5);
    assertThat(schedule.after(5)).isEqualTo(10);
    assertThat(schedule.isDue(4)).isFalse();
    assertThat(schedule.isDue(10)).isTrue();
    assertThat(schedule.times(9)).isEqualTo(1);
  }

  @Test
  void shouldNeverComeWhereNothingIsSetOrTheTimeIsBeyondAnyRun() {
    for (Schedule never : new Schedule[] {Schedule.of(0, 0, 5), Schedule.of(0, 1 << 30, 1 << 30)}) {
      assertThat(never.after(1_000_000)).isEqualTo(Integer.MAX_VALUE);
      assertThat(never.isDue(1_000_000)).isFalse();
      assertThat(never.times(1_000_000)).isZero();
    }
  }
}
