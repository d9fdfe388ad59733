package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.config.EmaConfig;
import dreambooth4j.config.LossConfig;
import dreambooth4j.config.LossConfig.Debiased;
import dreambooth4j.config.MemoryConfig;
import dreambooth4j.config.MemoryConfig.Checkpointing;
import dreambooth4j.config.OptimizerConfig;
import dreambooth4j.diffusion.NoiseSchedule;
import dreambooth4j.diffusion.Objective;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.LossForm;
import dreambooth4j.engine.Optimizer;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.UpdateRule;
import dreambooth4j.engine.UpdateRules;
import dreambooth4j.engine.kernel.KernelOptimizer;
import dreambooth4j.engine.kernel.Kernels;
import java.util.List;
import java.util.function.Function;

/**
 * How a step learns, whatever the pictures: what of a configuration decides its arithmetic.
 *
 * @param optimizer the rule, its constants and the norm to clip to
 * @param memory checkpointing must be decided: auto counts as not
 * @param ema the averaged weights
 * @param objective what is predicted, what an error costs and what each timestep counts, of a
 *     schedule
 * @param splitLoss whether instance and class rows are averaged apart
 * @param offsetNoise standard deviation of the noise added to whole channels; 0 adds none
 * @param seed decides every random draw
 */
public record Recipe(
    OptimizerConfig optimizer,
    MemoryConfig memory,
    EmaConfig ema,
    Function<NoiseSchedule, Objective> objective,
    boolean splitLoss,
    double offsetNoise,
    long seed) {
  /** As a run is configured. */
  public static Recipe of(Config config) {
    return new Recipe(
        config.optimizer(),
        config.memory(),
        config.ema(),
        schedule -> objective(schedule, config.loss()),
        config.loss().splitLoss(),
        config.training().offsetNoise(),
        config.training().seed());
  }

  /**
   * What updates these groups; their gradients count as zero from here on.
   *
   * @throws Problem where that takes kernels, and on CUDA ours are off
   */
  Optimizer updating(Arena run, List<Optimizer.Group> groups) {
    boolean fullBf16 =
        groups.stream().map(Optimizer.Group::parameters).anyMatch(Parameters::roundsAtRandom);
    if (run.device() == Device.CUDA
        && Kernels.of(run) == null
        && (memory.use8bitAdam() || fullBf16)) {
      throw Problem.usage(
          "use_8bit_adam and full_bf16 are done on CUDA by kernels of ours, which DREAMBOOTH4J_KERNELS=off leaves out: unset it, or leave out these keys");
    }
    UpdateRule.Constants constants =
        new UpdateRule.Constants(
            optimizer.adamBeta1(),
            optimizer.adamBeta2(),
            optimizer.adamEpsilon(),
            optimizer.adamWeightDecay());
    Optimizer made =
        KernelOptimizer.orPlain(
            run,
            UpdateRules.named(optimizer.name().label(), constants),
            groups,
            new Optimizer.Options(optimizer.maxGradNorm(), memory.use8bitAdam(), seed));
    made.zeroGradients();
    return made;
  }

  /** What an error costs, as a run is configured. */
  static Objective objective(NoiseSchedule schedule, LossConfig loss) {
    Objective made = costing(Objective.plain(schedule), loss);
    made = loss.snrGamma() == 0 ? made : made.minSnr(loss.snrGamma());
    made = loss.scaleVLikeNoise() ? made.scaledLikeNoise() : made;
    made = loss.vLikeLoss() == 0 ? made : made.likeVelocityToo(loss.vLikeLoss());
    made = loss.debiased() == Debiased.FALSE ? made : made.debiased(loss.debiased() == Debiased.ONETRAINER);
    return loss.p2Gamma() == 0 ? made : made.p2(loss.p2Gamma());
  }

  private static Objective costing(Objective plain, LossConfig loss) {
    return switch (loss.type()) {
      case L2 -> plain;
      case L1 -> plain.costing(LossForm.ABSOLUTE, 1);
      case LOG_COSH -> plain.costing(LossForm.LOG_COSH, 1);
      case CLASSIC_HUBER -> plain.costing(LossForm.CLASSIC_HUBER, loss.huberDelta());
      case HUBER -> scheduled(plain, LossForm.HUBER, loss);
      case SMOOTH_L1 -> scheduled(plain, LossForm.SMOOTH_L1, loss);
    };
  }

  private static Objective scheduled(Objective plain, LossForm form, LossConfig loss) {
    return switch (loss.huberSchedule()) {
      case CONSTANT -> plain.costing(form, loss.huberC() * loss.huberScale());
      case EXPONENTIAL -> plain.costingExponentially(form, loss.huberC(), loss.huberScale());
      case SNR -> plain.costingBySnr(form, loss.huberC());
    };
  }

  /** What a step draws at random. */
  TrainingStep.Draws draws() {
    return new TrainingStep.Draws(seed, offsetNoise);
  }

  /** Whether activations are computed again in backward. */
  boolean checkpoints() {
    return memory.gradientCheckpointing() == Checkpointing.TRUE;
  }
}
