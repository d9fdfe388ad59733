package dreambooth4j.diffusion;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dreambooth4j.Problem;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Tensor;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class SamplerKindTest {
  /** As Stable Diffusion 1.5 is published: many keys are not stated. */
  private static final String SD15 =
      """
      {"_class_name": "PNDMScheduler", "_diffusers_version": "0.6.0", "beta_start": 0.00085,
       "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000,
       "set_alpha_to_one": false, "skip_prk_steps": true, "steps_offset": 1, "trained_betas": null,
       "clip_sample": false}
      """;

  private static double[] timesteps(String config, @Nullable SamplerKind chosen) {
    try (Sampler sampler = SamplerKind.forModel(SchedulerConfig.parse(config), chosen)) {
      sampler.begin(4);
      return sampler.timesteps();
    }
  }

  private static String stating(String... keyAndValue) {
    StringBuilder json = new StringBuilder("{\"clip_sample\": false");
    for (int i = 0; i < keyAndValue.length; i += 2) {
      json.append(", \"%s\": %s".formatted(keyAndValue[i], keyAndValue[i + 1]));
    }
    return json.append("}").toString();
  }

  @Test
  void shouldUseTheModelsOwnSamplerWithItsValues() {
    assertThat(timesteps(SD15, null)).containsExactly(751, 501, 501, 251, 1);
  }

  @Test
  void shouldCarryStatedValuesOverToAChosenSamplerAndLeaveItItsOwnDefaults() {
    assertThat(timesteps(SD15, SamplerKind.DDIM)).containsExactly(751, 501, 251, 1);
    assertThat(timesteps(SD15, SamplerKind.EULER)).containsExactly(999, 666, 333, 0);
    assertThat(
            timesteps(SD15.replace("}", ",\"timestep_spacing\":\"leading\"}"), SamplerKind.EULER))
        .containsExactly(751, 501, 251, 1);
  }

  @ParameterizedTest
  @CsvSource({
    "DDPMScheduler, false, DdpmSampler",
    "DDIMScheduler, false, DdimSampler",
    "PNDMScheduler, false, PndmSampler",
    "EulerDiscreteScheduler, true, EulerSampler",
    "EulerAncestralDiscreteScheduler, false, EulerAncestralSampler",
    "DPMSolverMultistepScheduler, false, DpmSolverSampler",
    "DPMSolverMultistepScheduler, true, DpmSolverSampler",
    "UniPCMultistepScheduler, true, UniPcSampler"
  })
  void shouldKnowTheClassesOfDiffusers(String className, String karras, String ours) {
    String config = stating("_class_name", '"' + className + '"', "use_karras_sigmas", karras);
    Sampler sampler = SamplerKind.forModel(SchedulerConfig.parse(config), null);
    assertThat(sampler.getClass().getSimpleName()).isEqualTo(ours);
    double[] asStated = timesteps(config, null);
    if (className.startsWith("DPM")) {
      assertThat(asStated)
          .isEqualTo(
              timesteps(
                  config,
                  karras.equals("true") ? SamplerKind.DPMPP_2M_KARRAS : SamplerKind.DPMPP_2M));
    }
  }

  @Test
  void shouldRefuseAClassThatItDoesNotHaveUnlessAnotherIsChosen() {
    String config = stating("_class_name", "\"ScoreSdeVeScheduler\"");
    assertThatThrownBy(() -> timesteps(config, null))
        .isInstanceOf(Problem.class)
        .hasMessageContaining("ScoreSdeVeScheduler is not supported")
        .hasMessageContaining("dpmpp_2m_karras");
    assertThat(timesteps(config, SamplerKind.DDIM)).hasSize(4);
  }

  @Test
  void shouldFindAKindByItsNameAndListThemOtherwise() {
    for (SamplerKind kind : SamplerKind.values()) {
      assertThat(SamplerKind.named(kind.label())).isEqualTo(kind);
    }
    assertThat(SamplerKind.named("DPMSolverMultistepScheduler")).isEqualTo(SamplerKind.DPMPP_2M);
    assertThat(SamplerKind.named("EulerDiscrete")).isEqualTo(SamplerKind.EULER);
    assertThatThrownBy(() -> SamplerKind.named("wibble"))
        .isInstanceOf(Problem.class)
        .hasMessageStartingWith(
            "no sampler is named 'wibble'; there are ddpm, ddim, pndm, lms, lms_karras, euler,");
  }

  @ParameterizedTest
  @CsvSource({
    "Euler a, EULER_ANCESTRAL",
    "DPM++ 2M Karras, DPMPP_2M_KARRAS",
    "dpm++ 2m sde, DPMPP_2M_SDE",
    "DPM2 a Karras, DPM2_ANCESTRAL_KARRAS",
    "Heun, HEUN",
    "LMS, LMS",
    "PLMS, PNDM",
    "LCM, LCM",
    "DPM++ SDE, DPMPP_SDE",
    "k_dpm_2_a, DPM2_ANCESTRAL",
    "dpmsolver++, DPMPP_2M",
    "KDPM2DiscreteScheduler, DPM2",
    "DEISMultistep, DEIS",
    "DPMSolverSinglestepScheduler, DPMPP_SDE"
  })
  void shouldKnowWhatOtherProgramsCallThem(String name, SamplerKind kind) {
    assertThat(SamplerKind.named(name)).isEqualTo(kind);
  }

  @ParameterizedTest
  @CsvSource({
    "DPMSolverMultistepScheduler, true, sde-dpmsolver++, DPMPP_2M_SDE_KARRAS",
    "DPMSolverMultistepScheduler, false, sde-dpmsolver++, DPMPP_2M_SDE",
    "DPMSolverMultistepScheduler, true, dpmsolver++, DPMPP_2M_KARRAS",
    "HeunDiscreteScheduler, true, x, HEUN_KARRAS",
    "KDPM2AncestralDiscreteScheduler, false, x, DPM2_ANCESTRAL"
  })
  void shouldTakeTheFormThatTheModelStates(
      String className, String karras, String algorithm, SamplerKind kind) {
    String config =
        stating(
            "_class_name", '"' + className + '"',
            "use_karras_sigmas", karras,
            "algorithm_type", '"' + algorithm + '"');
    assertThat(SamplerKind.of(SchedulerConfig.parse(config), null)).isEqualTo(kind);
  }

  @Test
  void shouldMendOldConfigurationsAsThePipelineDoes() {
    // Not stated at all: the model's own sampler is offset, one in its place is not.
    String own = "{\"_class_name\": \"DDIMScheduler\"}";
    assertThat(timesteps(own, null)).containsExactly(751, 501, 251, 1);
    assertThat(timesteps(own, SamplerKind.DDPM)).containsExactly(750, 500, 250, 0);
    // Stated otherwise: it is 1 for both; and latents are never clipped.
    String old = "{\"_class_name\": \"DDIMScheduler\", \"steps_offset\": 0, \"clip_sample\": true}";
    assertThat(timesteps(old, SamplerKind.DDPM)).containsExactly(751, 501, 251, 1);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "DDIM | trained_betas | [0.1, 0.2]",
        "DDIM | thresholding | true",
        "DDIM | clip_sample | true",
        "DDIM | prediction_type | \"sample\"",
        "DDIM | beta_schedule | \"sigmoid\"",
        "DDIM | timestep_spacing | \"even\"",
        "DDIM | num_train_timesteps | 0",
        "DDPM | variance_type | \"learned_range\"",
        "PNDM | rescale_betas_zero_snr | true",
        "EULER | interpolation_type | \"log_linear\"",
        "EULER | timestep_type | \"continuous\"",
        "EULER | use_exponential_sigmas | true",
        "EULER | sigma_max | 10.0",
        "DPMPP_2M | algorithm_type | \"dpmsolver\"",
        "DPMPP_2M | solver_type | \"other\"",
        "DPMPP_2M | solver_order | 3",
        "DPMPP_2M | use_lu_lambdas | true",
        "DPMPP_2M | lambda_min_clipped | -5.1",
        "DPMPP_2M | final_sigmas_type | \"one\"",
        "UNIPC | predict_x0 | false",
        "UNIPC | use_flow_sigmas | true"
      })
  void shouldRefuseByNameWhatItDoesNotSupport(SamplerKind kind, String key, String value) {
    SchedulerConfig config = SchedulerConfig.parse(stating(key, value));
    assertThatThrownBy(() -> kind.create(config))
        .isInstanceOf(Problem.class)
        .hasMessage(
            "scheduler_config.json: " + key + " " + value.replace(", ", ",") + " is not supported");
  }

  @Test
  void shouldReadTheInfinityThatPythonWrites() {
    SchedulerConfig config = SchedulerConfig.parse(stating("lambda_min_clipped", "-Infinity"));
    assertThatCode(() -> SamplerKind.DPMPP_2M.create(config)).doesNotThrowAnyException();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"num_train_timesteps\": \"many\"}",
        "{\"num_train_timesteps\": 10.5}",
        "{\"beta_start\": \"small\"}",
        "{\"beta_start\": 0.5, \"beta_end\": 0.1}",
        "{\"clip_sample\": 1}",
        "{\"beta_schedule\": 3}",
        "[]",
        "{"
      })
  void shouldRefuseAConfigurationThatIsNoneAsDataFault(String json) {
    assertThatThrownBy(() -> SamplerKind.DDIM.create(SchedulerConfig.parse(json)))
        .isInstanceOfSatisfying(
            Problem.class, e -> assertThat(e.kind()).isEqualTo(Problem.Kind.DATA))
        .hasMessageContaining("scheduler_config.json");
  }

  @ParameterizedTest
  @EnumSource
  void shouldRefuseNumbersOfStepsThatItCannotTake(SamplerKind kind) {
    try (Sampler sampler = kind.create(SchedulerConfig.parse(stating("skip_prk_steps", "true")))) {
      assertThatThrownBy(() -> sampler.begin(0)).hasMessageContaining("from 1 to 1000, found 0");
      assertThatThrownBy(() -> sampler.begin(1001)).hasMessageContaining("found 1001");
    }
  }

  @Test
  void shouldRefuseStepsThatTrainingNeverSawOrThatStandStill() {
    assertThatThrownBy(
            () ->
                SamplerKind.DDIM
                    .create(SchedulerConfig.parse(stating("steps_offset", "1")))
                    .begin(1000))
        .hasMessage("1000 steps begin at timestep 1000, but the last one is 999; take fewer steps");
    assertThatThrownBy(() -> SamplerKind.UNIPC.create(SchedulerConfig.parse("{}")).begin(1000))
        .hasMessageContaining("same noise level");
  }

  @ParameterizedTest
  @ValueSource(ints = {61, 103, 499})
  void shouldTakeAsManyStepsAsAskedWithTrailingSpacing(int steps) {
    // diffusers takes one more here, at timestep -1.
    try (Sampler sampler =
        SamplerKind.DDIM.create(
            SchedulerConfig.parse(stating("timestep_spacing", "\"trailing\"")))) {
      sampler.begin(steps);
      assertThat(sampler.timesteps()).hasSize(steps);
      assertThat(sampler.timesteps()[steps - 1]).isNotNegative();
    }
  }

  @ParameterizedTest
  @EnumSource
  void shouldForgetAnUnfinishedRunWhenAnotherBegins(SamplerKind kind) {
    SchedulerConfig config = SchedulerConfig.parse(stating("skip_prk_steps", "true"));
    try (Arena arena = Arena.open("test");
        Sampler sampler = kind.create(config)) {
      Tensor x = arena.floats("x", new float[] {1, -2}, 1, 1, 1, 2);
      for (int run = 0; run < 2; run++) {
        sampler.begin(8);
        for (int i = 0; i < 3; i++) {
          sampler.step(arena, x, x, i, x::retain).release();
        }
      }
      sampler.close();
      assertThat(arena.meter().liveCount()).isEqualTo(1);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"_class_name", "prediction_type", "num_train_timesteps"})
  void shouldShowLittleOfAValueThatIsLong(String key) {
    SchedulerConfig config = SchedulerConfig.parse(stating(key, '"' + "x".repeat(99_999) + '"'));
    SamplerKind chosen = key.equals("_class_name") ? null : SamplerKind.DDIM;
    assertThatThrownBy(() -> SamplerKind.forModel(config, chosen))
        .isInstanceOf(Problem.class)
        .satisfies(problem -> assertThat(problem.getMessage()).hasSizeBetween(80, 500));
  }
}
