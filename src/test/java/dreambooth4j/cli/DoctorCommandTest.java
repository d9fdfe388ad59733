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
        .containsPattern("products +\\d+ GFLOP/s of a core in float32, \\d+ in bf16\\R")
        .containsPattern("threads +\\d+ of \\d+ processors")
        .containsPattern("memory +[0-9.]+ GB, available [0-9.]+ GB\\R")
        .containsPattern("libraries +\\d+ jars \\(-v lists them\\)\\R")
        .containsPattern("CUDA libraries: \\d+ of 19 found \\(-v lists them .*\\)\\R")
        .doesNotContain("libcuda.so.1")
        .contains("training      works: ")
        .doesNotContain("not available");
    assertThat(ran.out().lines()).hasSizeLessThan(20).allMatch(line -> line.length() < 200);
  }

  @Test
  void shouldListLibrariesWhereItIsAskedFor() {
    assertThat(Ran.of("doctor", "-v").out())
        .containsPattern("libraries +(\\S+ )*slf4j-api-")
        .containsPattern("CUDA libraries: \\d+ of 19 found\\R  libcuda.so.1 ");
  }
}
