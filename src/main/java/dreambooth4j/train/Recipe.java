package dreambooth4j.train;

import dreambooth4j.config.Config;
import dreambooth4j.config.EmaConfig;
import dreambooth4j.config.MemoryConfig;
import dreambooth4j.config.MemoryConfig.Checkpointing;
import dreambooth4j.config.OptimizerConfig;
import dreambooth4j.diffusion.NoiseSchedule;
import dreambooth4j.diffusion.Objective;

/**
 * How a step learns, whatever the pictures: what of a configuration decides its arithmetic.
 *
 * @param optimizer the rule, its constants and the norm to clip to
 * @param memory checkpointing must be decided: auto counts as not
 * @param ema the averaged weights
 * @param snrGamma min-SNR's gamma; 0 leaves all timesteps their weight
 * @param offsetNoise standard deviation of the noise added to whole channels; 0 adds none
 * @param seed decides every random draw
 */
public record Recipe(
    OptimizerConfig optimizer,
    MemoryConfig memory,
    EmaConfig ema,
    double snrGamma,
    double offsetNoise,
    long seed) {
  /** As a run is configured. */
  public static Recipe of(Config config) {
    return new Recipe(
        config.optimizer(),
        config.memory(),
        config.ema(),
        config.training().snrGamma(),
        config.training().offsetNoise(),
        config.training().seed());
  }

  /** Target and weights of the timesteps. */
  Objective objective(NoiseSchedule schedule) {
    return snrGamma == 0 ? Objective.plain(schedule) : Objective.minSnr(schedule, snrGamma);
  }

  /** Whether activations are computed again in backward. */
  boolean checkpoints() {
    return memory.gradientCheckpointing() == Checkpointing.TRUE;
  }
}
