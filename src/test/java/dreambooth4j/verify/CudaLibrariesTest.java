package dreambooth4j.verify;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** In made-up folders. */
class CudaLibrariesTest {
  private static final String[] ALL_BUT_THE_DRIVER = {
    "libcudart.so.13",
    "libcublas.so.13",
    "libcublasLt.so.13",
    "libcudnn.so.9",
    "libcudnn_graph.so.9",
    "libcudnn_ops.so.9",
    "libcudnn_cnn.so.9",
    "libcudnn_adv.so.9",
    "libnvrtc.so.13",
    "libcufft.so.12",
    "libcurand.so.10",
    "libcusolver.so.12",
    "libcusolverMg.so.12",
    "libcusparse.so.12",
    "libnvJitLink.so.13",
    "libnccl.so.2",
    "libcufile.so.0",
    "libcupti.so.13"
  };

  @TempDir Path folder;

  private String put(String place, String... files) throws IOException {
    Path made = Files.createDirectories(folder.resolve(place));
    for (String each : files) {
      Files.createFile(made.resolve(each));
    }
    return made.toString();
  }

  private List<String> report(Map<String, String> environment) {
    return new CudaLibraries(folder, folder.resolve("home/me"), environment).report();
  }

  private static String line(List<String> report, String start) {
    return report.stream().filter(l -> l.strip().startsWith(start)).findFirst().orElse("");
  }

  @Test
  void shouldSayWhatIsMissingAndWhereItComesFrom() throws IOException {
    String system = put("usr/lib64", "libcuda.so.1");
    List<String> report = report(Map.of());
    assertThat(report.get(0)).isEqualTo("CUDA libraries: 1 of 19 found");
    assertThat(line(report, "libcuda.so.1")).endsWith(system);
    assertThat(line(report, "libcudnn.so.9")).endsWith("missing");
    assertThat(line(report, "looked in"))
        .contains("LD_LIBRARY_PATH", "/usr/local/cuda*", "VIRTUAL_ENV", "CONDA_PREFIX", "Python");
    assertThat(line(report, "pip install"))
        .contains(" nvidia-cublas ", " nvidia-cudnn-cu13 ", " nvidia-cufile")
        .doesNotContain("driver");
    assertThat(line(report, "export")).isEmpty();
    assertThat(line(report, "the driver is missing")).isEmpty();
  }

  @Test
  void shouldNeedNothingWhereTheLoaderFindsAll() throws IOException {
    put("usr/lib/x86_64-linux-gnu", "libcuda.so.1");
    String configured = put("some/where", ALL_BUT_THE_DRIVER);
    put("etc/ld.so.conf.d");
    Files.writeString(folder.resolve("etc/ld.so.conf.d/cuda.conf"), "# here\n" + configured);
    List<String> report = report(Map.of());
    assertThat(report.get(0)).isEqualTo("CUDA libraries: 19 of 19 found");
    assertThat(report.get(report.size() - 1)).contains("the loader finds all of them");
    assertThat(line(report, "export")).isEmpty();
  }

  @Test
  void shouldTellTheLoaderOfAToolkitAndOfPackagesOfPython() throws IOException {
    put("usr/lib64", "libcuda.so.1");
    String pyenv = "home/me/.pyenv/versions/";
    put(pyenv + "3.11.2/lib/python3.11/site-packages/nvidia/nccl/lib");
    List<String> folders =
        List.of(
            put("usr/local/cuda-13.1/lib64", "libcudart.so.13", "libcublas.so.13"),
            put("my venv/lib/python3.13/site-packages/nvidia/cu13/lib", "libcublasLt.so.13"),
            put("home/me/.local/lib/python3.12/site-packages/nvidia/cudnn/lib", "libcudnn.so.9"),
            put("conda/lib", "libcufft.so.12"),
            put(pyenv + "3.12.1/lib/python3.12/site-packages/nvidia/nccl/lib", "libnccl.so.2"));
    List<String> report =
        report(
            Map.of(
                "VIRTUAL_ENV", folder.resolve("my venv").toString(),
                "CONDA_PREFIX", folder.resolve("conda").toString()));
    assertThat(report.get(0)).startsWith("CUDA libraries: 7 of 19");
    assertThat(line(report, "export"))
        .isEqualTo(
            "    export LD_LIBRARY_PATH='%s'${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
                .formatted(String.join(":", folders)));
  }

  @Test
  void shouldNotExportWhatTheEnvironmentHasAlready() throws IOException {
    put("usr/lib64", "libcuda.so.1");
    String set = put("opt/cuda/lib64", ALL_BUT_THE_DRIVER);
    List<String> report =
        report(Map.of("LD_LIBRARY_PATH", set + ":", "CUDA_HOME", folder + "/opt/cuda"));
    assertThat(report.get(0)).startsWith("CUDA libraries: 19 of 19");
    assertThat(line(report, "export")).isEmpty();
  }

  @Test
  void shouldNameAnotherVersion() throws IOException {
    String old = put("usr/local/cuda-12.4/lib64", "libcudart.so.12");
    List<String> report = report(Map.of());
    assertThat(line(report, "libcudart.so.13"))
        .endsWith("missing; another version is " + Path.of(old, "libcudart.so.12"));
    assertThat(line(report, "the driver is missing")).contains("580");
  }
}
