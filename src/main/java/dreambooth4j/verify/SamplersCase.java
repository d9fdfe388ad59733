package dreambooth4j.verify;

import com.fasterxml.jackson.databind.JsonNode;
import dreambooth4j.diffusion.NoiseSchedule;
import dreambooth4j.diffusion.Sampler;
import dreambooth4j.diffusion.SamplerKind;
import dreambooth4j.diffusion.SchedulerConfig;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import dreambooth4j.engine.kernel.NoiseKernels;
import dreambooth4j.engine.op.NoiseTarget;
import dreambooth4j.engine.op.WeightedSum;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** The noise schedule, and every sampler's way, driven by a made-up network. */
final class SamplersCase {
  private static final String MODEL = "eps(x,t) = 0.3 x + 0.5 sin(t/100)";

  private SamplersCase() {}

  static void run(Arena arena, Golden golden) {
    if (!golden.setting("model").asText().equals(MODEL)) {
      throw golden.notUnderstood("model " + golden.setting("model"));
    }
    int steps = golden.setting("steps").asInt();
    JsonNode configs = golden.setting("configs");
    schedule(arena, golden, configs.elements().next());
    for (Map.Entry<String, JsonNode> each : configs.properties()) {
      try (Arena own = arena.child("sampler");
          Sampler sampler =
              SamplerKind.named(each.getKey()).create(SchedulerConfig.of(each.getValue()))) {
        sampler(own, golden, each.getKey(), sampler, steps);
      }
    }
  }

  private static void schedule(Arena arena, Golden golden, JsonNode config) {
    NoiseSchedule schedule = NoiseSchedule.of(SchedulerConfig.of(config));
    Tensor x0 = golden.input(arena, "input.x0");
    Tensor noise = golden.input(arena, "input.noise");
    Tensor t = golden.input(arena, "input.t");
    golden.output(arena, "output.alphas_cumprod", schedule.alphasCumprod(), Limits.OUTPUT);
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
    golden.output(arena, "output.noisy", result.noisy().toFloats(), Limits.OUTPUT);
    golden.output(arena, "output.velocity", result.target().toFloats(), Limits.OUTPUT);
  }

  private static void sampler(Arena arena, Golden golden, String name, Sampler sampler, int steps) {
    sampler.begin(steps);
    double[] timesteps = sampler.timesteps();
    float[] times = new float[timesteps.length];
    List<float[]> path = new ArrayList<>();
    String sigma = "output." + name + ".init_noise_sigma";
    if (golden.has(sigma)) {
      golden.output(arena, sigma, new float[] {(float) sampler.initNoiseSigma()}, Limits.OUTPUT);
    }
    String fresh = "input." + name + ".fresh_noise";
    Tensor x =
        WeightedSum.of(
            arena, new double[] {sampler.initNoiseSigma()}, golden.input(arena, "input.noise"));
    for (int i = 0; i < times.length; i++) {
      times[i] = (float) timesteps[i];
      Tensor seen = sampler.scaleModelInput(arena, x, i);
      int step = i;
      x =
          sampler.step(
              arena,
              predicted(arena, seen, times[i]),
              x,
              i,
              () -> golden.input(arena, fresh).rows(step, 1).reshaped(seen.shape()));
      path.add(x.toFloats());
    }
    golden.output(arena, "output." + name + ".timesteps", times, Limits.OUTPUT);
    String recorded = "output." + name + ".path";
    golden.path(arena, recorded, path, golden.limit(recorded, Limits.OUTPUT));
  }

  /** The made-up network, in F32 as it was recorded. */
  private static Tensor predicted(Arena arena, Tensor x, float t) {
    float wave = 0.5f * (float) Math.sin(t / 100f);
    float[] values = x.toFloats();
    for (int i = 0; i < values.length; i++) {
      values[i] = 0.3f * values[i] + wave;
    }
    return arena.floats("prediction", values, x.shape());
  }
}
