package dreambooth4j.engine;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ProcessMemoryTest {
  /** Of much some 256 MB are left to others, of little an eighth. */
  @ParameterizedTest
  @CsvSource({"24000000000, 23744000000", "800000000, 700000000", "0, 0", "-5000000, 0"})
  void shouldLeaveRoomForWhatIsNotATensor(long room, long expected) {
    assertThat(ProcessMemory.forTensors(room)).isEqualTo(expected);
  }
}
