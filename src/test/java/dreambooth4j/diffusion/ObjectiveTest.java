package dreambooth4j.diffusion;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
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
  void shouldWeighEachHalfByItsOwnMean() {
    Objective objective = Objective.plain(NOISE);
    assertThat(objective.rowWeights(new long[] {1, 2, 3, 4, 5}, 2, 0.4))
        .containsExactly(new double[] {0.5, 0.5, 0.4 / 3, 0.4 / 3, 0.4 / 3}, within(1e-15));
  }

  @Test
  void shouldLeaveAnAbsentHalfOut() {
    Objective objective = Objective.plain(NOISE);
    assertThat(objective.rowWeights(new long[] {1, 2}, 2, 0.4)).containsExactly(0.5, 0.5);
    assertThat(objective.rowWeights(new long[] {1, 2}, 0, 0.4)).containsExactly(0.2, 0.2);
  }

  @Test
  void shouldWeighEveryRowOfBothHalvesByItsOwnTimestep() {
    long[] timesteps = {0, 200, 700, 999};
    double[] noise = Objective.minSnr(NOISE, 5).rowWeights(timesteps, 2, 0.35);
    double[] velocity = Objective.minSnr(VELOCITY, 5).rowWeights(timesteps, 2, 0.35);
    for (int i = 0; i < 4; i++) {
      double alphaBar = NOISE.alphasCumprod()[(int) timesteps[i]];
      double snr = alphaBar / (1 - alphaBar);
      double share = i < 2 ? 0.5 : 0.175;
      assertThat(noise[i]).isCloseTo(share * Math.min(snr, 5) / snr, within(1e-12));
      assertThat(velocity[i]).isCloseTo(share * Math.min(snr, 5) / (snr + 1), within(1e-12));
    }
  }

  @Test
  void shouldWeighATimestepOfNoiseAloneByTheLimit() {
    assertThat(ZERO_SNR.snr(999)).isZero();
    assertThat(Objective.minSnr(ZERO_SNR, 5).rowWeights(new long[] {999}, 1, 1))
        .containsExactly(0.0);
  }

  @Test
  void shouldTakeTheNoiseOrTheVelocityForTarget() {
    try (Arena arena = Arena.open("test")) {
      Tensor x0 = arena.floats("x0", new float[] {1, 2, 3, 4}, 2, 1, 1, 2);
      Tensor noise = arena.floats("noise", new float[] {-1, 1, 0.5f, -2}, 2, 1, 1, 2);
      Tensor same = Objective.plain(NOISE).target(arena, x0, noise, 10, 900);
      assertThat(same.toFloats()).isEqualTo(noise.toFloats());
      same.release();
      Tensor velocity = Objective.plain(VELOCITY).target(arena, x0, noise, 10, 900);
      double alphaBar = VELOCITY.alphaBar(900);
      assertThat((double) velocity.toFloats()[3])
          .isCloseTo(Math.sqrt(alphaBar) * -2 - Math.sqrt(1 - alphaBar) * 4, within(1e-6));
      velocity.release();
      assertThat(arena.liveCount()).isEqualTo(2);
    }
  }

  @Test
  void shouldAddNoiseToEachRowByItsOwnTimestep() {
    try (Arena arena = Arena.open("test")) {
      Tensor x0 = arena.floats("x0", new float[] {1, 2, 3, 4}, 2, 1, 1, 2);
      Tensor noise = arena.floats("noise", new float[] {-1, 1, 0.5f, -2}, 2, 1, 1, 2);
      Tensor noisy = NOISE.addNoise(arena, x0, noise, 10, 900);
      for (int i = 0; i < 4; i++) {
        double alphaBar = NOISE.alphaBar(i < 2 ? 10 : 900);
        assertThat((double) noisy.toFloats()[i])
            .isCloseTo(
                Math.sqrt(alphaBar) * x0.toFloats()[i]
                    + Math.sqrt(1 - alphaBar) * noise.toFloats()[i],
                within(1e-6));
      }
      noisy.release();
      assertThat(arena.liveCount()).isEqualTo(2);
      assertThatThrownBy(() -> NOISE.addNoise(arena, x0, noise, 10))
          .isInstanceOf(IllegalArgumentException.class);
      assertThatThrownBy(() -> NOISE.addNoise(arena, x0, noise, 10, 1000))
          .hasMessage("timestep 1000 is not one of 0 to 999");
    }
  }

  @Test
  void shouldShiftEveryPictureAndChannelByItsOwnDraw() {
    try (Arena arena = Arena.open("test")) {
      Tensor noise = arena.zeros("noise", DType.F32, 2, 1, 2, 3);
      Tensor shift = arena.floats("shift", new float[] {1, 2, 3, 4, 5, 6}, 2, 3, 1, 1);
      Tensor shifted = Objective.offsetNoise(arena, noise, shift, 0.5);
      assertThat(shifted.toFloats())
          .containsExactly(.5f, 1, 1.5f, .5f, 1, 1.5f, 2, 2.5f, 3, 2, 2.5f, 3);
      shifted.release();
      assertThat(arena.liveCount()).isEqualTo(2);
    }
  }

  @Test
  void shouldGuideAwayFromTheOutputWithoutThePrompt() {
    try (Arena arena = Arena.open("test")) {
      Tensor output = arena.floats("output", new float[] {1, 2, 3, 4, 1.5f, 2, 2, 5}, 4, 1, 1, 2);
      Tensor guided = Guidance.combine(arena, output, 7.5);
      assertThat(guided.hasShape(2, 1, 1, 2)).isTrue();
      assertThat(guided.toFloats()).containsExactly(4.75f, 2, -4.5f, 11.5f);
      guided.release();
      assertThat(arena.liveCount()).isEqualTo(1);
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
    assertThatThrownBy(() -> Objective.minSnr(NOISE, 0)).isInstanceOf(Problem.class);
  }
}
