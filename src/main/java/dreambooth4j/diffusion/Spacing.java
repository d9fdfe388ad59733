package dreambooth4j.diffusion;

import dreambooth4j.Problem;
import java.util.Arrays;

/** How a sampler's steps lie on the timesteps of training ({@code timestep_spacing}). */
enum Spacing {
  /** Evenly, from the last timestep to the first. */
  LINSPACE,
  /** Evenly in whole steps up from the first timestep, moved by {@code steps_offset}. */
  LEADING,
  /** Evenly down from the last timestep. */
  TRAILING;

  static Spacing of(SchedulerConfig config, Spacing otherwise) {
    return switch (config.text("timestep_spacing", "")) {
      case "" -> otherwise;
      case "linspace" -> LINSPACE;
      case "leading" -> LEADING;
      case "trailing" -> TRAILING;
      default -> throw config.unsupported("timestep_spacing");
    };
  }

  /**
   * The timesteps of a run, the noisiest first; with {@link #LINSPACE} they may lie between two of
   * training.
   *
   * @param below 1 for solvers whose last step ends without noise, below the grid: the grid's
   *     lowest point is then left out
   */
  double[] timesteps(SchedulerConfig config, NoiseSchedule schedule, int steps, int below) {
    int all = schedule.timesteps();
    if (steps < 1 || steps > all) {
      throw Problem.usage("steps must be from 1 to %d, found %d".formatted(all, steps));
    }
    double[] timesteps = new double[steps];
    int points = steps + below;
    int stride = all / points;
    int offset = config.integer("steps_offset", 0);
    for (int i = 0; i < steps; i++) {
      int fromBottom = points - 1 - i;
      timesteps[i] =
          switch (this) {
            case LINSPACE -> line(all - 1, points, fromBottom);
            case LEADING -> fromBottom * stride + offset;
            // For some numbers of steps diffusers goes one too far, to timestep -1. We do not.
            case TRAILING -> Math.rint(all - i * ((double) all / steps)) - 1;
          };
    }
    return timesteps;
  }

  /** As {@link #timesteps}, each a timestep of training. */
  double[] wholeTimesteps(SchedulerConfig config, NoiseSchedule schedule, int steps, int below) {
    return Arrays.stream(timesteps(config, schedule, steps, below)).map(Math::rint).toArray();
  }

  private static double line(int last, int points, int i) {
    return i > 0 && i == points - 1 ? last : i * ((double) last / Math.max(1, points - 1));
  }
}
