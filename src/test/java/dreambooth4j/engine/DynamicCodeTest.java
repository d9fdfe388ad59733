package dreambooth4j.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class DynamicCodeTest {
  /** Values that bitsandbytes' dynamic map has, at both ends, in the middle and at the decades. */
  @Test
  void shouldHaveThePublishedValues() {
    assertThat(DynamicCode.UNSIGNED.value((byte) 0)).isZero();
    assertThat(DynamicCode.UNSIGNED.value((byte) 1)).isEqualTo(3.25e-7f);
    assertThat(DynamicCode.UNSIGNED.value((byte) 2)).isEqualTo(7.75e-7f);
    assertThat(DynamicCode.UNSIGNED.value((byte) 254)).isEqualTo(0.9964844f);
    assertThat(DynamicCode.UNSIGNED.value((byte) 255)).isEqualTo(1);
    assertThat(DynamicCode.SIGNED.value((byte) 0)).isEqualTo(-0.99296874f);
    assertThat(DynamicCode.SIGNED.value((byte) 126)).isEqualTo(-5.5e-7f);
    assertThat(DynamicCode.SIGNED.value((byte) 127)).isZero();
    assertThat(DynamicCode.SIGNED.value((byte) 128)).isEqualTo(5.5e-7f);
    assertThat(DynamicCode.SIGNED.value((byte) 255)).isEqualTo(1);
  }

  @Test
  void shouldTakeTheNearestValue() {
    SplittableRandom random = new SplittableRandom(3);
    for (DynamicCode code : new DynamicCode[] {DynamicCode.SIGNED, DynamicCode.UNSIGNED}) {
      for (int c = 0; c < 256; c++) {
        assertThat(code.encode(code.value((byte) c))).isEqualTo((byte) c);
      }
      for (int i = 0; i < 20_000; i++) {
        float x = (float) (random.nextDouble() * Math.pow(10, -random.nextInt(9)));
        x = code == DynamicCode.SIGNED && random.nextBoolean() ? -x : x;
        float error = Math.abs(code.value(code.encode(x)) - x);
        for (int c = code == DynamicCode.UNSIGNED ? 1 : 0; c < 256; c++) {
          assertThat(error).isLessThanOrEqualTo(Math.abs(code.value((byte) c) - x));
        }
      }
    }
  }

  /** A second moment is a divisor: what is above zero must stay so. */
  @Test
  void shouldNeverMakeZeroOfAPositiveVariance() {
    assertThat(DynamicCode.UNSIGNED.encode(0)).isZero();
    assertThat(DynamicCode.UNSIGNED.encode(Float.MIN_VALUE)).isEqualTo((byte) 1);
  }
}
