package dreambooth4j.diffusion;

import dreambooth4j.Problem;

/**
 * ᾱ by timestep, with a value for what lies below timestep 0, where the last step ends.
 *
 * @param one whether that is 1, no noise at all, or ᾱ of timestep 0 ({@code set_alpha_to_one})
 */
record FinalAlpha(NoiseSchedule schedule, boolean one) {
  double at(double timestep) {
    if (timestep < 0) {
      return one ? 1 : schedule.alphaBar(0);
    }
    return schedule.alphaBar((long) timestep);
  }

  /** Refuses timesteps that training never saw: a leading spacing moved beyond the last one. */
  void requireAll(double[] timesteps) {
    if (timesteps[0] >= schedule.timesteps()) {
      throw Problem.usage(
          "%d steps begin at timestep %.0f, but the last one is %d; take fewer steps"
              .formatted(timesteps.length, timesteps[0], schedule.timesteps() - 1));
    }
  }
}
