package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Optimizer;
import dreambooth4j.engine.Parameter;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.UpdateRule;
import dreambooth4j.engine.UpdateRules;
import dreambooth4j.engine.UpdateScalars;
import dreambooth4j.engine.kernel.Emulated;
import dreambooth4j.engine.kernel.KernelOptimizer;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

class DivergenceTest {
  /** An update sets gradients to zero where their norm is not finite. */
  private static void shouldNameABadGradient(Arena run) {
    Parameters group = new Parameters(DType.F32);
    Parameter good = group.declare("good", 3, 100);
    Parameter bad = group.declare("bad", 7);
    group.allocate(run, true);
    UpdateRule rule =
        UpdateRules.named(UpdateRules.DEFAULT, new UpdateRule.Constants(0.9, 0.999, 1e-8, 0.01));
    Optimizer.Options options = new Optimizer.Options(1, false, 0);
    Optimizer optimizer =
        KernelOptimizer.orPlain(run, rule, Optimizer.Group.alike(List.of(group)), options);
    Runnable gather =
        () -> {
          good.gradient().zero_();
          float[] values = {0, 0, 0, Float.NaN, 0, 0, 0};
          bad.gradient().copyFrom(values);
        };
    gather.run();
    assertThat(new UpdateScalars(run).write(1e-3, 1).update(optimizer)).isNaN();
    assertThat(optimizer.badGradient()).isNull();
    assertThat(Divergence.ofGradients(optimizer, gather, 3))
        .hasMessageContaining("step 3: the gradient is not finite")
        .hasMessageContaining("the gradient of bad[7]");
  }

  @Test
  void shouldNameABadGradientThatTheUpdateHasCleared() {
    try (Arena run = Arena.open("run")) {
      shouldNameABadGradient(run);
    }
  }

  @Tag("kernels")
  @Test
  void shouldNameABadGradientThatTheKernelsHaveCleared() {
    try (Arena run = Emulated.open()) {
      shouldNameABadGradient(run);
    }
  }
}
