package dreambooth4j.engine.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.op.AttentionEngine.Sizes;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class OpBackendTest {
  private static final Sizes SIZES = new Sizes(DType.F32, 1, 1, 5, 7, 8, false);

  private static AttentionEngine attention(OpBackend backend) {
    return backend
        .attention()
        .choose(
            SIZES,
            () -> {
              throw new AssertionError("a trial");
            },
            true);
  }

  @Test
  void shouldComputeByLibtorchAloneOnTheCpu() {
    try (Arena arena = Arena.open("given none")) {
      OpBackend backend = OpBackend.of(arena);
      assertThat(backend.device()).isEqualTo(Device.CPU);
      assertThat(backend.launcher()).isNull();
      assertThat(backend.convolutions()).isNull();
      assertThat(attention(backend)).isEqualTo(AttentionEngine.CPU_FLASH);
    }
  }

  @ParameterizedTest
  @EnumSource
  void shouldTakeTheFormsOfItsDeviceWhenDryAndTryNothing(Device device) {
    OpBackend backend = OpBackend.dry(device);
    assertThat(backend.launcher() != null).isEqualTo(device == Device.CUDA);
    assertThat(backend.convolutions() != null).isEqualTo(device == Device.CUDA);
    assertThat(attention(backend)).isEqualTo(AttentionEngine.DRY);
  }

  @Test
  void shouldHaveChildrenThatComputeAsTheirRootDoes() {
    OpBackend backend = OpBackend.dry(Device.CUDA);
    try (Arena run = Arena.open("run", backend);
        Arena step = run.child("step")) {
      assertThat(OpBackend.of(step)).isSameAs(backend);
    }
  }

  /** libtorch makes the device's context when its first tensor is: after the backend is chosen. */
  @Test
  void shouldAskNothingOfADeviceBeforeAnOpRuns() {
    assertThatCode(() -> OpBackend.on(Device.CUDA)).doesNotThrowAnyException();
  }
}
