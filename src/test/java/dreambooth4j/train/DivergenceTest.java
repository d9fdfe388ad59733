package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.engine.AdamW;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.kernel.AdamWOnDevice;
import dreambooth4j.engine.kernel.Emulated;
import dreambooth4j.engine.kernel.Kernels;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

class DivergenceTest {
  /** The kernels set gradients to zero where their norm is not finite. */
  @Tag("kernels")
  @Test
  void shouldNameABadGradientThatTheDeviceHasCleared() {
    try (Arena run = Emulated.open()) {
      Parameters group = new Parameters(DType.F32);
      Parameter good = group.declare("good", 3, 100);
      Parameter bad = group.declare("bad", 7);
      group.allocate(run, true);
      AdamWOnDevice device = new AdamWOnDevice(Objects.requireNonNull(Kernels.of(run)), run);
      AdamW.Settings settings = new AdamW.Settings(0.9, 0.999, 1e-8, 0.01);
      AdamW adamW = new AdamW(run, settings, List.of(group), false, 0, device);
      Runnable gather =
          () -> {
            good.gradient().zero_();
            float[] values = {0, 0, 0, Float.NaN, 0, 0, 0};
            bad.gradient().copyFrom(values);
          };
      gather.run();
      assertThat(adamW.update(1e-3, 1, 1)).isNaN();
      assertThat(adamW.badGradient()).isNull();
      assertThat(Divergence.ofGradients(adamW, gather, 3))
          .hasMessageContaining("step 3: the gradient is not finite")
          .hasMessageContaining("the gradient of bad[7]");
    }
  }
}
