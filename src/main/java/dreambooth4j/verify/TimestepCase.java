package dreambooth4j.verify;

import com.fasterxml.jackson.databind.JsonNode;
import dreambooth4j.diffusion.NoiseSchedule;
import dreambooth4j.diffusion.SchedulerConfig;
import dreambooth4j.diffusion.TimestepDistribution;
import dreambooth4j.diffusion.TimestepDistribution.Range;
import dreambooth4j.engine.Arena;
import java.util.Map;
import java.util.function.DoubleUnaryOperator;

/** Tables over all timesteps, and the timesteps that recorded random numbers become. */
final class TimestepCase {
  private static final int ALL = 1000;

  private static final String BETAS =
      "{\"beta_schedule\": \"scaled_linear\", \"beta_start\": 0.00085, \"beta_end\": 0.012, \"prediction_type\": \"v_prediction\"%s}";

  private TimestepCase() {}

  /** The recorded draws become timesteps by the tables that training draws from. */
  static void drawn(Arena arena, Golden golden) {
    float[] u = golden.floats(arena, "input.u");
    float[] normal = golden.floats(arena, "input.normal");
    for (Map.Entry<String, JsonNode> each : golden.setting("made").properties()) {
      JsonNode how = each.getValue();
      String name = each.getKey();
      double[] chances = distribution(golden, name, how).chances();
      long[] theirs = golden.longs(arena, "output." + name);
      int differing = 0;
      for (int i = 0; i < theirs.length; i++) {
        // What rises with the number that was drawn, from 0 to 1.
        double quantile =
            switch (name) {
              case "onetrainer_logit_normal" -> TimestepDistribution.normalBelow(normal[i]);
              case "onetrainer_heavy_tail" -> 1 - (double) u[i];
              default -> u[i];
            };
        int t = 0;
        while (chances[t] <= quantile) {
          t++;
        }
        differing += t == theirs[i] ? 0 : 1;
      }
      golden.counted("output." + name, "timesteps that differ", differing);
    }
  }

  private static TimestepDistribution distribution(Golden golden, String name, JsonNode how) {
    double weight = how.path("weight").asDouble();
    return switch (name) {
      case "range" -> TimestepDistribution.uniform(range(how, "min_timestep", "max_timestep", 1));
      case "onetrainer_uniform", "onetrainer_uniform_shift" ->
          TimestepDistribution.uniform(
              range(how, "min_noising_strength", "max_noising_strength", ALL));
      case "onetrainer_logit_normal" ->
          TimestepDistribution.logitNormal(Range.of(ALL), how.path("bias").asDouble(), weight);
      case "onetrainer_heavy_tail" -> TimestepDistribution.heavyTail(Range.of(ALL), weight);
      default -> throw golden.notUnderstood("timesteps " + name);
    };
  }

  private static Range range(JsonNode how, String least, String end, int times) {
    return new Range(
        ALL,
        (int) (how.path(least).asDouble() * times),
        (int) (how.path(end).asDouble() * times),
        how.path("shift").asDouble(1));
  }

  /** Weights that timesteps are drawn by; the tables that training draws from follow from them. */
  static void weights(Arena arena, Golden golden) {
    double bias = golden.setting("bias").asDouble();
    JsonNode weight = golden.setting("weight");
    Map<String, DoubleUnaryOperator> all =
        Map.of(
            "output.sigmoid",
            TimestepDistribution.sigmoid(bias, weight.path("sigmoid").asDouble()),
            "output.inverted_parabola",
            TimestepDistribution.invertedParabola(
                bias, weight.path("inverted_parabola").asDouble()),
            "output.cos_map",
            TimestepDistribution::cosMap);
    all.forEach(
        (name, of) -> {
          double[] chances = TimestepDistribution.weighted(Range.of(ALL), of).chances();
          double sum = 0;
          for (int t = 0; t < ALL; t++) {
            sum += of.applyAsDouble(t / (ALL - 1.0));
          }
          float[] ours = new float[ALL];
          for (int t = 0; t < ALL; t++) {
            ours[t] = (float) (sum * (chances[t] - (t == 0 ? 0 : chances[t - 1])));
          }
          golden.output(arena, name, ours, Limits.OBJECTIVE);
        });
  }

  /** The factors of generalised offset noise. */
  static void offsetFactors(Arena arena, Golden golden) {
    golden.output(
        arena, "output.psi", schedule("").offsetFactors(arena).toFloats(), Limits.OBJECTIVE);
  }

  /** The rescaled schedule, in training and in samplers that divide by ᾱ. */
  static void zeroTerminal(Arena arena, Golden golden) {
    NoiseSchedule rescaled = schedule(", \"rescale_betas_zero_snr\": true");
    // Each is 1 less a ratio of two squared roots, which makes one rounding some sixty times as
    // large. The recording torch takes roots by MKL, which gives another float than the nearest for
    // 182 of the 1000; with the nearest, as here, the betas differ by 4.4e-6 of their norm.
    golden.output(arena, "output.betas", rescaled.betas(), Limits.OUTPUT);
    float[] alphas = rescaled.alphasCumprod();
    golden.output(arena, "output.alphas_cumprod", alphas, Limits.OBJECTIVE);
    double[] sigmas = rescaled.sigmas();
    for (int t = 0; t < alphas.length; t++) {
      alphas[t] = (float) (1 / (sigmas[t] * sigmas[t] + 1));
    }
    golden.output(arena, "output.euler_alphas_cumprod", alphas, Limits.OBJECTIVE);
  }

  private static NoiseSchedule schedule(String more) {
    return NoiseSchedule.of(SchedulerConfig.parse(BETAS.formatted(more)));
  }
}
