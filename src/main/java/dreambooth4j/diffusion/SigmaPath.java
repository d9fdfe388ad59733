package dreambooth4j.diffusion;

import dreambooth4j.Problem;
import java.util.function.DoubleUnaryOperator;

/**
 * The noise levels that a sampler passes through. A level is σ, the noise's share over the
 * picture's: a sample x₀ + σ·ε, or, scaled to unit variance, α·x₀ + α·σ·ε with α = 1/√(1 + σ²). The
 * levels fall; the last is where the run ends and is reached without asking the network. Rounded to
 * float32 where diffusers does.
 */
final class SigmaPath {
  /** Of Karras et al., 2022, equation 5. */
  private static final double RHO = 7;

  private final double[] timesteps;
  private final double[] sigmas;

  private SigmaPath(double[] timesteps, double[] sigmas) {
    this.timesteps = timesteps;
    this.sigmas = sigmas;
    for (int i = 1; i < timesteps.length; i++) {
      if (sigmas[i] >= sigmas[i - 1]) {
        throw Problem.usage(
            "%d steps are too many for this sampler: two of them are at the same noise level"
                .formatted(timesteps.length));
      }
    }
  }

  /** A path without steps, before a run begins. */
  static SigmaPath none() {
    return new SigmaPath(new double[0], new double[] {0});
  }

  /** The levels of training at these timesteps, which may lie between two, then {@code last}. */
  static SigmaPath through(NoiseSchedule schedule, double[] timesteps, double last) {
    double[] trained = schedule.sigmas();
    double[] sigmas = new double[timesteps.length + 1];
    for (int i = 0; i < timesteps.length; i++) {
      sigmas[i] = (float) between(trained, timesteps[i]);
    }
    sigmas[timesteps.length] = (float) last;
    return new SigmaPath(timesteps, sigmas);
  }

  /** Karras's levels from {@code highest} down to {@code lowest}, then {@code last}. */
  static SigmaPath karras(
      NoiseSchedule schedule,
      int steps,
      double highest,
      double lowest,
      double last,
      DoubleUnaryOperator rounding) {
    double[] trained = schedule.sigmas();
    double[] timesteps = new double[steps];
    double[] sigmas = new double[steps + 1];
    double top = Math.pow(highest, 1 / RHO);
    double bottom = Math.pow(lowest, 1 / RHO);
    for (int i = 0; i < steps; i++) {
      double ramp = steps == 1 ? 0 : i * (1.0 / (steps - 1));
      double sigma = Math.pow(top + ramp * (bottom - top), RHO);
      timesteps[i] = rounding.applyAsDouble(timestepOf(trained, sigma));
      sigmas[i] = (float) sigma;
    }
    sigmas[steps] = (float) last;
    return new SigmaPath(timesteps, sigmas);
  }

  /**
   * The path of a solver that takes its last step from above the schedule's lowest level.
   *
   * @param last the level that it ends at
   * @param karrasRounding of the timesteps that belong to Karras's levels
   */
  static SigmaPath multistep(
      SchedulerConfig config,
      NoiseSchedule schedule,
      int steps,
      double last,
      DoubleUnaryOperator karrasRounding) {
    double[] timesteps =
        Spacing.of(config, Spacing.LINSPACE).wholeTimesteps(config, schedule, steps, 1);
    if (!config.flag("use_karras_sigmas", false)) {
      return through(schedule, timesteps, last);
    }
    double[] trained = schedule.sigmas();
    return karras(schedule, steps, trained[trained.length - 1], trained[0], last, karrasRounding);
  }

  /** Where a run ends: without noise, or at the schedule's lowest level. */
  static double last(SchedulerConfig config, NoiseSchedule schedule) {
    return switch (config.text("final_sigmas_type", "zero")) {
      case "zero" -> 0;
      case "sigma_min" -> schedule.sigmas()[0];
      default -> throw config.unsupported("final_sigmas_type");
    };
  }

  /** The order of a solver; 1 and 2 are built. */
  static int order(SchedulerConfig config) {
    int order = config.integer("solver_order", 2);
    if (order != 1 && order != 2) {
      throw config.unsupported("solver_order");
    }
    return order;
  }

  /** Refuses the ways of choosing levels that no kind here knows. */
  static void refuseOthers(SchedulerConfig config) {
    for (String key :
        new String[] {
          "use_exponential_sigmas",
          "use_beta_sigmas",
          "use_lu_lambdas",
          "use_flow_sigmas",
          "use_dynamic_shifting",
          "sigma_min",
          "sigma_max"
        }) {
      config.refuse(key);
    }
  }

  private static double between(double[] values, double position) {
    int low = (int) Math.max(0, Math.min(position, values.length - 2));
    if (values.length == 1 || position >= values.length - 1) {
      return values[values.length - 1];
    }
    return values[low] + (values[low + 1] - values[low]) * (position - low);
  }

  /** Where σ lies among the levels of training, by linear interpolation of its logarithm. */
  static double timestepOf(double[] trained, double sigma) {
    int low = 0;
    while (low < trained.length - 2 && trained[low + 1] <= sigma) {
      low++;
    }
    double from = Math.log(trained[low]);
    double share = (Math.log(sigma) - from) / (Math.log(trained[low + 1]) - from);
    return low + Math.max(0, Math.min(share, 1));
  }

  int steps() {
    return timesteps.length;
  }

  double[] timesteps() {
    return timesteps.clone();
  }

  /** σ before step {@code i}; after the last one for {@link #steps}. */
  double sigma(int i) {
    return sigmas[i];
  }

  /** α before step {@code i}: the picture's share in a sample of unit variance. */
  double alpha(int i) {
    return alphaOf(sigmas[i]);
  }

  /** α at a level. */
  static double alphaOf(double sigma) {
    return 1 / Math.sqrt(sigma * sigma + 1);
  }

  /** α·σ before step {@code i}: the noise's share in a sample of unit variance. */
  double noise(int i) {
    return sigmas[i] * alpha(i);
  }

  /** How far step {@code i} goes: by how much log(1/σ) grows. Infinite if it ends without noise. */
  double stride(int i) {
    return Math.log(sigmas[i] / sigmas[i + 1]);
  }
}
