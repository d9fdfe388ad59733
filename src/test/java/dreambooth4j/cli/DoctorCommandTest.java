package dreambooth4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class DoctorCommandTest {
  @Test
  void shouldSayWhatThereIsAndThatItTrains() {
    Ran ran = Ran.of("doctor");

    assertThat(ran.exitCode()).isZero();
    assertThat(ran.out())
        .contains("Java ", "memory ", "CPU features ", "GPU ", "natives ", "libraries ")
        .containsPattern("libtorch +\\d+\\.\\d+")
        .containsPattern("threads +\\d+ of \\d+ processors")
        .containsPattern("CUDA libraries: \\d+ of 19 found\\R  libcuda.so.1 ")
        .contains("training      works: ")
        .doesNotContain("not available");
  }
}
