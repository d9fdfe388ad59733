package dreambooth4j.diffusion;

import dreambooth4j.Problem;

/**
 * The variance that each timestep of training adds, computed with the roundings of diffusers:
 * models were trained with the rounded values.
 */
final class Betas {
  private Betas() {}

  /** One for each of {@code steps} timesteps, by the config's {@code beta_schedule}. */
  static float[] of(SchedulerConfig config, int steps) {
    double start = config.number("beta_start", 0.0001);
    double end = config.number("beta_end", 0.02);
    if (!(0 < start && start <= end && end < 1)) {
      throw Problem.data(
          "scheduler_config.json: expected 0 < beta_start <= beta_end < 1, found %s and %s"
              .formatted(start, end));
    }
    return switch (config.text("beta_schedule", "linear")) {
      case "linear" -> line(start, end, steps);
      case "scaled_linear" -> squared(line(Math.sqrt(start), Math.sqrt(end), steps));
      case "squaredcos_cap_v2" -> cosine(steps);
      default -> throw config.unsupported("beta_schedule");
    };
  }

  /** As torch.linspace in float32, which goes from both ends to the middle. */
  private static float[] line(double start, double end, int steps) {
    float first = (float) start;
    float last = (float) end;
    float step = steps == 1 ? 0 : (last - first) / (steps - 1);
    float[] line = new float[steps];
    for (int i = 0; i < steps; i++) {
      line[i] = i < steps / 2 ? Math.fma(step, i, first) : Math.fma(-step, steps - i - 1, last);
    }
    return line;
  }

  private static float[] squared(float[] values) {
    for (int i = 0; i < values.length; i++) {
      values[i] *= values[i];
    }
    return values;
  }

  /** ᾱ falls as a squared cosine (Nichol and Dhariwal, 2021); no beta above 0.999. */
  private static float[] cosine(int steps) {
    float[] betas = new float[steps];
    for (int i = 0; i < steps; i++) {
      double ratio = cosineAlphaBar((i + 1) / (double) steps) / cosineAlphaBar(i / (double) steps);
      betas[i] = (float) Math.min(1 - ratio, 0.999);
    }
    return betas;
  }

  private static double cosineAlphaBar(double time) {
    double cosine = Math.cos((time + 0.008) / 1.008 * Math.PI / 2);
    return cosine * cosine;
  }

  /**
   * The betas that leave nothing of the picture at the last timestep (Lin et al., 2024, algorithm
   * 1).
   */
  static float[] withZeroTerminalSnr(float[] betas) {
    float[] roots = cumulativeAlphas(betas);
    for (int i = 0; i < roots.length; i++) {
      roots[i] = (float) Math.sqrt(roots[i]);
    }
    float first = roots[0];
    float last = roots[roots.length - 1];
    float scale = first / (first - last);
    float[] rescaled = new float[betas.length];
    float before = 1;
    for (int i = 0; i < roots.length; i++) {
      float root = (roots[i] - last) * scale;
      float alphaBar = root * root;
      rescaled[i] = 1 - alphaBar / before;
      before = alphaBar;
    }
    return rescaled;
  }

  /**
   * ᾱ: what is left of the picture's variance at each timestep; accumulated in double, as torch.
   */
  static float[] cumulativeAlphas(float[] betas) {
    float[] alphasCumprod = new float[betas.length];
    double product = 1;
    for (int i = 0; i < betas.length; i++) {
      product *= 1 - betas[i];
      alphasCumprod[i] = (float) product;
    }
    return alphasCumprod;
  }
}
