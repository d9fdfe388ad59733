package dreambooth4j.engine.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/** What a GPU's checks take for "not there" and what for a failure. */
class GpuCheckTest {
  @Test
  void shouldTakeForMissingOnlyWhatALibrarySaysItDoesNotHave() {
    assertThat(missing("cuDNN: cudnnConvolution: CUDNN_STATUS_NOT_SUPPORTED (shape)")).isTrue();
    assertThat(missing("attention: FlashAttention only supports Ampere GPUs or newer.")).isTrue();
    assertThat(missing("attention: cuDNN Frontend error: No valid engine configs for")).isTrue();
    assertThat(missing("cuDNN: CUDNN_STATUS_EXECUTION_FAILED (shape)")).isFalse();
    assertThat(missing("CUDA error: operation not supported")).isFalse();
    assertThat(missing("CUDA error: an illegal memory access was encountered")).isFalse();
  }

  /** Where several algorithms were tried, one that failed is a failure. */
  @Test
  void shouldAskEachOfSeveral() {
    RuntimeException all = new IllegalStateException("no plan");
    assertThat(GpuCheck.isNotSupported(all)).isFalse();
    all.addSuppressed(new IllegalStateException("CUDNN_STATUS_NOT_SUPPORTED"));
    assertThat(GpuCheck.isNotSupported(all)).isTrue();
    all.addSuppressed(new IllegalStateException("CUDNN_STATUS_INTERNAL_ERROR"));
    assertThat(GpuCheck.isNotSupported(all)).isFalse();
  }

  private static boolean missing(String message) {
    return GpuCheck.isNotSupported(new IllegalStateException(message));
  }
}
