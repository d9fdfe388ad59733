package dreambooth4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dreambooth4j.Problem;
import dreambooth4j.config.LrConfig;
import dreambooth4j.config.LrScheduler;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LearningRateTest {
  private static LrConfig config(LrScheduler rule, int warmup, int cycles, double power) {
    return new LrConfig(rule, warmup, cycles, power, 0, 0, null, "");
  }

  /**
   * The factors by which diffusers 0.42.1's {@code get_scheduler} multiplies a learning rate of
   * 1e-3 in its first steps, rounded to 9 digits.
   */
  @ParameterizedTest
  @CsvSource({
    "CONSTANT, 3, 12, 1, 1, 1 1 1 1 1",
    "CONSTANT_WITH_WARMUP, 3, 12, 1, 1, 0 .333333333 .666666667 1 1 1",
    "LINEAR, 3, 12, 1, 1, 0 .333333333 .666666667 1 .888888889 .777777778 .666666667 .555555556"
        + " .444444444 .333333333 .222222222 .111111111 0",
    "LINEAR, 0, 10, 1, 1, 1 .9 .8 .7 .6 .5 .4 .3 .2 .1 0 0 0",
    "COSINE, 3, 12, 1, 1, 0 .333333333 .666666667 1 .96984631 .883022222 .75 .586824089 .413175911"
        + " .25 .116977778 .03015369 0",
    "COSINE, 0, 10, 1, 1, 1 .975528258 .904508497 .793892626 .654508497 .5 .345491503 .206107374"
        + " .095491503 .024471742 0",
    "COSINE_WITH_RESTARTS, 2, 12, 3, 1, 0 .5 1 .793892626 .345491503 .024471742 .904508497 .5"
        + " .095491503 .975528258 .654508497 .206107374 0",
    "COSINE_WITH_RESTARTS, 0, 10, 1, 1, 1 .975528258 .904508497 .793892626 .654508497 .5 .345491503"
        + " .206107374 .095491503 .024471742 0 0 0",
    "POLYNOMIAL, 3, 12, 1, 1, 0 .333333333 .666666667 1 .8889 .7778 .6667 .5556 .4445 .3334 .2223"
        + " .1112 .0001",
    "POLYNOMIAL, 2, 12, 1, 2, 0 .5 1 .810019 .640036 .490051 .360064 .250075 .160084 .090091"
        + " .040096 .010099 .0001",
    "POLYNOMIAL, 0, 10, 1, 1, 1 .90001 .80002 .70003 .60004 .50005 .40006 .30007 .20008 .10009"
        + " .0001 .0001 .0001",
  })
  void shouldFollowDiffusers(
      LrScheduler rule, int warmup, int steps, int cycles, double power, String factors) {
    LearningRate rate = new LearningRate(config(rule, warmup, cycles, power), 1e-3, steps);
    double[] expected =
        Arrays.stream(factors.split(" ")).mapToDouble(Double::parseDouble).toArray();
    for (int step = 0; step < expected.length; step++) {
      assertThat(rate.at(step)).as("step %d", step).isCloseTo(1e-3 * expected[step], within(1e-12));
    }
  }

  @Test
  void shouldRefuseAPolynomialThatWouldRise() {
    LrConfig config = config(LrScheduler.POLYNOMIAL, 0, 1, 1);
    assertThatThrownBy(() -> new LearningRate(config, 1e-7, 10))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("polynomial falls to 1.0E-7");
  }
}
