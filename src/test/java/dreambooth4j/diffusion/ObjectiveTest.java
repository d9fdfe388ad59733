package dreambooth4j.diffusion;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import org.junit.jupiter.api.Test;

class ObjectiveTest {
  private static final String BETAS =
      "\"beta_start\": 0.00085, \"beta_end\": 0.012, \"beta_schedule\": \"scaled_linear\"";
  private static final NoiseSchedule NOISE = schedule("{" + BETAS + "}");
  private static final NoiseSchedule VELOCITY =
      schedule("{" + BETAS + ", \"prediction_type\": \"v_prediction\"}");
  private static final NoiseSchedule ZERO_SNR =
      schedule(
          "{"
              + BETAS
              + ", \"prediction_type\": \"v_prediction\", \"rescale_betas_zero_snr\": true}");

  private static NoiseSchedule schedule(String json) {
    return NoiseSchedule.of(SchedulerConfig.parse(json));
  }

  @Test
  void shouldWeighEveryTimestepTheSameUnlessAsked() {
    assertThat(Objective.plain(NOISE).timestepWeight(700)).isEqualTo(1);
  }

  @Test
  void shouldWeighTimestepsByTheirCappedSignalToNoiseRatio() {
    for (long timestep : new long[] {0, 200, 700, 999}) {
      double alphaBar = NOISE.alphasCumprod()[(int) timestep];
      double snr = alphaBar / (1 - alphaBar);
      assertThat(Objective.plain(NOISE).minSnr(5).timestepWeight(timestep))
          .isCloseTo(Math.min(snr, 5) / snr, within(1e-12));
      assertThat(Objective.plain(VELOCITY).minSnr(5).timestepWeight(timestep))
          .isCloseTo(Math.min(snr, 5) / (snr + 1), within(1e-12));
    }
  }

  @Test
  void shouldWeighATimestepOfNoiseAloneByTheLimit() {
    assertThat(ZERO_SNR.snr(999)).isZero();
    assertThat(Objective.plain(ZERO_SNR).minSnr(5).timestepWeight(999)).isZero();
  }

  @Test
  void shouldRefuseATimestepThatThereIsNot() {
    assertThatThrownBy(() -> NOISE.alphaBar(1000))
        .hasMessage("timestep 1000 is not one of 0 to 999");
  }

  @Test
  void shouldGuideAwayFromTheOutputWithoutThePrompt() {
    try (Arena arena = Arena.open("test")) {
      Tensor output = arena.floats("output", new float[] {1, 2, 3, 4, 1.5f, 2, 2, 5}, 4, 1, 1, 2);
      Tensor guided = Guidance.combine(arena, output, 7.5, 0);
      assertThat(guided.hasShape(2, 1, 1, 2)).isTrue();
      assertThat(guided.toFloats()).containsExactly(4.75f, 2, -4.5f, 11.5f);
      guided.release();
      assertThat(arena.meter().liveCount()).isEqualTo(1);
    }
  }

  @Test
  void shouldRefuseZeroSignalForAModelThatPredictsTheNoise() {
    assertThatThrownBy(() -> schedule("{\"rescale_betas_zero_snr\": true}"))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("needs prediction_type v_prediction");
  }

  @Test
  void shouldRefuseAGammaThatIsNotAboveZero() {
    assertThatThrownBy(() -> Objective.plain(NOISE).minSnr(0)).isInstanceOf(Problem.class);
  }
}
