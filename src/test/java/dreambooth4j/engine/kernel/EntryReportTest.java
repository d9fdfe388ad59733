package dreambooth4j.engine.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class EntryReportTest {
  @Test
  void shouldReadRegistersSharedMemoryAndSpills() {
    String log =
        """
        ptxas info    : 0 bytes gmem
        ptxas info    : Compiling entry function 'wide' for 'sm_90'
        ptxas info    : Function properties for wide
            16 bytes stack frame, 8 bytes spill stores, 4 bytes spill loads
        ptxas info    : Used 255 registers, used 1 barriers, 128 bytes smem, 400 bytes cmem[0]
        ptxas info    : Compiling entry function 'lean' for 'sm_90'
        ptxas info    : Function properties for lean
            0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
        ptxas info    : Used 24 registers, used 0 barriers
        """;
    assertThat(EntryReport.of(log))
        .containsExactly(
            new EntryReport("wide", 255, 128, 16, 12), new EntryReport("lean", 24, 0, 0, 0));
  }

  @Test
  void shouldKnowEveryVariantOfAnEntry() {
    assertThat(KernelSource.GEGLU.entries())
        .hasSize(12)
        .contains("geglu_forward_bf16", "geglu_backward_f32_odd");
    assertThat(KernelSource.GLOBAL_NORM.entries())
        .containsExactly(
            "global_norm_squares_f32",
            "global_norm_squares_bf16",
            "global_norm_squares_f16",
            "global_norm_finish");
  }
}
