package dreambooth4j.diffusion;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.kernel.NoiseKernels;
import dreambooth4j.engine.op.NoiseTarget;
import dreambooth4j.weights.Safetensors;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Against what diffusers computes, as recorded for an epsilon and a velocity model. */
class SamplerGoldenTest {
  private static final JsonMapper JSON =
      JsonMapper.builder().enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS).build();

  static List<Arguments> everySampler() {
    return List.of("sd1", "sd2").stream()
        .flatMap(
            family ->
                Stream.of(
                        "ddpm ddim pndm euler euler_ancestral dpmpp_2m dpmpp_2m_karras unipc"
                            .split(" "))
                    .map(name -> Arguments.of(family, SamplerKind.named(name))))
        .toList();
  }

  private static Safetensors goldens(String family) {
    return Safetensors.open(
        Path.of("src/test/resources/goldens", family, "schedulers.safetensors"));
  }

  private static JsonNode recorded(Safetensors goldens) throws Exception {
    return JSON.readTree(goldens.metadata().get("case"));
  }

  @ParameterizedTest
  @MethodSource("everySampler")
  void shouldTakeTheStepsOfDiffusers(String family, SamplerKind kind) throws Exception {
    try (Safetensors goldens = goldens(family);
        Arena arena = Arena.open("test")) {
      JsonNode recorded = recorded(goldens);
      SchedulerConfig config = SchedulerConfig.of(recorded.path("configs").path(kind.label()));
      Tensor noise = goldens.read(arena, "input.noise");
      float[] path = goldens.read(arena, "output." + kind.label() + ".path").toFloats();
      float[] timesteps = goldens.read(arena, "output." + kind.label() + ".timesteps").toFloats();
      String fresh = "input." + kind.label() + ".fresh_noise";
      Tensor draws = goldens.tensors().containsKey(fresh) ? goldens.read(arena, fresh) : noise;
      long before = arena.meter().liveCount();
      try (Sampler sampler = kind.create(config)) {
        List<float[]> ours =
            MadeUpModel.path(
                arena,
                sampler,
                recorded.path("steps").intValue(),
                noise,
                i -> {
                  Tensor row = draws.rows(i, 1);
                  Tensor draw = row.reshaped(noise.shape());
                  row.release();
                  return draw;
                });
        assertThat(floats(sampler.timesteps())).isEqualTo(timesteps);
        assertThat(ours).hasSize(timesteps.length);
        for (int i = 0; i < ours.size(); i++) {
          float[] x = ours.get(i);
          assertThat(MadeUpModel.relativeError(x, path, i * x.length))
              .as("step %d", i)
              .isLessThan(1e-5);
        }
      }
      assertThat(arena.meter().liveCount()).isEqualTo(before);
    }
  }

  private static float[] floats(double[] values) {
    float[] floats = new float[values.length];
    for (int i = 0; i < floats.length; i++) {
      floats[i] = (float) values[i];
    }
    return floats;
  }

  @ParameterizedTest
  @ValueSource(strings = {"sd1", "sd2"})
  void shouldAddNoiseAndFindVelocitiesAsDiffusers(String family) throws Exception {
    try (Safetensors goldens = goldens(family);
        Arena arena = Arena.open("test")) {
      NoiseSchedule schedule =
          NoiseSchedule.of(SchedulerConfig.of(recorded(goldens).path("configs").path("ddpm")));
      assertThat(schedule.alphasCumprod())
          .isEqualTo(goldens.read(arena, "output.alphas_cumprod").toFloats());
      Tensor x0 = goldens.read(arena, "input.x0");
      Tensor noise = goldens.read(arena, "input.noise");
      Tensor t = goldens.read(arena, "input.t");
      NoiseTarget.Result result =
          NoiseTarget.apply(
              arena,
              new NoiseKernels.Noise(0, 0, 0, noise, null),
              x0,
              t,
              schedule.roots(arena),
              arena.zeros("row index", DType.I32, t.count()),
              arena.zeros("step", DType.I64, 1),
              true);
      float[] noisy = result.noisy().toFloats();
      float[] velocity = result.target().toFloats();
      assertThat(
              MadeUpModel.relativeError(noisy, goldens.read(arena, "output.noisy").toFloats(), 0))
          .isLessThan(1e-6);
      assertThat(
              MadeUpModel.relativeError(
                  velocity, goldens.read(arena, "output.velocity").toFloats(), 0))
          .isLessThan(1e-6);
    }
  }
}
