package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;

import dreambooth4j.config.ComputeConfig.MixedPrecision;
import org.junit.jupiter.api.Test;

class LossScaleTest {
  private static LossScale fp16() {
    return new LossScale(MixedPrecision.FP16);
  }

  private static void keep(LossScale scale, int steps) {
    for (int i = 0; i < steps; i++) {
      scale.kept();
    }
  }

  @Test
  void shouldGrowAfterGoodStepsInARowOnly() {
    LossScale scale = fp16();
    keep(scale, 1999);
    assertThat(scale.canFall()).isTrue();
    scale.fall();
    assertThat(scale.value()).isEqualTo(32_768);
    keep(scale, 1999);
    assertThat(scale.value()).isEqualTo(32_768);
    scale.kept();
    assertThat(scale.value()).isEqualTo(65_536);
    keep(scale, 2000);
    assertThat(scale.value()).isEqualTo(131_072);
  }

  @Test
  void shouldGoOnFromWhatWasSaved() {
    LossScale scale = fp16();
    scale.fall();
    keep(scale, 1234);
    LossScale resumed = fp16();
    resumed.restore(scale.toString());
    assertThat(resumed).hasToString(scale.toString());
    keep(resumed, 2000 - 1234);
    assertThat(resumed.value()).isEqualTo(65_536);
  }

  @Test
  void shouldBeginAnewAfterARunInAnotherType() {
    for (MixedPrecision other : new MixedPrecision[] {MixedPrecision.NO, MixedPrecision.BF16}) {
      LossScale scale = fp16();
      scale.restore(new LossScale(other).toString());
      assertThat(scale.value()).isEqualTo(65_536);
    }
  }

  /** What overflows at any scale is not the scale's doing. */
  @Test
  void shouldNotSkipForEver() {
    LossScale scale = fp16();
    int skipped = 0;
    while (scale.canFall()) {
      scale.fall();
      skipped++;
    }
    assertThat(skipped).isEqualTo(30);
  }

  @Test
  void shouldBeOneInOtherTypes() {
    LossScale scale = new LossScale(MixedPrecision.BF16);
    keep(scale, 5000);
    assertThat(scale.value()).isEqualTo(1);
    assertThat(scale.canFall()).isFalse();
    assertThat(scale.shown()).isNull();
  }
}
