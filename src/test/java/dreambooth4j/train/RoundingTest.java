package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.engine.Device;
import dreambooth4j.engine.Platform;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/** What is said where a run goes on elsewhere; TrainerTest resumes for it. */
class RoundingTest {
  private static final String LIBRARIES = "2.9.0, cuDNN 91300";
  private static final String CONSEQUENCE =
      ": from here on the last digits may differ from those of a run without the break";

  private static Map<String, String> onGpu(String name, Map<String, String> environment) {
    return Rounding.onGpu(name, LIBRARIES, environment);
  }

  @Test
  void shouldNameAnotherGpu() {
    assertThat(
            Rounding.differences(
                onGpu("NVIDIA A100-SXM4-80GB", Map.of()), onGpu("NVIDIA H100", Map.of())))
        .containsExactly(
            "computing device was 'NVIDIA A100-SXM4-80GB', is 'NVIDIA H100'" + CONSEQUENCE);
  }

  @Test
  void shouldNameSwitchesThatWereOtherwise() {
    Map<String, String> off = Map.of("DREAMBOOTH4J_KERNELS", "off", "DREAMBOOTH4J_CUDNN", "off");
    assertThat(
            Rounding.differences(onGpu("NVIDIA H100", Map.of()), onGpu("NVIDIA H100", off)).get(0))
        .contains(
            "DREAMBOOTH4J_KERNELS was 'on', is 'off' (DREAMBOOTH4J_KERNELS=on takes the first",
            "DREAMBOOTH4J_CUDNN was 'on', is 'off' (DREAMBOOTH4J_CUDNN=on takes the first again)")
        .doesNotContain("device");
    assertThat(Rounding.differences(onGpu("NVIDIA H100", off), onGpu("NVIDIA H100", off)))
        .isEmpty();
  }

  /** One sentence, and nothing of what one of them does not have. */
  @Test
  void shouldNameTheDeviceAloneOfWhatOnlyACpuHas() {
    Map<String, String> cpu = Rounding.on(Device.CPU);
    Map<String, String> gpu = Rounding.onGpu("NVIDIA H100", Platform.libtorch(), Map.of());
    assertThat(Rounding.differences(cpu, gpu))
        .containsExactly("computing device was 'CPU', is 'NVIDIA H100'" + CONSEQUENCE);
    assertThat(Rounding.differences(gpu, cpu))
        .containsExactly("computing device was 'NVIDIA H100', is 'CPU'" + CONSEQUENCE);
  }

  @Test
  void shouldNameAllThatDiffersBeforeTheConsequence() {
    Map<String, String> now = Rounding.on(Device.CPU);
    Map<String, String> then = new TreeMap<>(now);
    then.put("number of threads", "77");
    then.put("libtorch", "1.0");
    assertThat(Rounding.differences(then, now))
        .containsExactly(
            "libtorch was '1.0', is '%s'; number of threads was '77', is '%s' (OMP_NUM_THREADS=77 takes the first again)%s"
                .formatted(Platform.libtorch(), now.get("number of threads"), CONSEQUENCE));
  }

  @Test
  void shouldAskRanksForTheSameLibraryAlone() {
    assertThat(Rounding.onAllRanks(Device.CPU))
        .containsExactly(Map.entry("library of matrix products", Platform.blas()));
    assertThat(Rounding.onAllRanks(Device.CUDA)).isEmpty();
  }
}
