package dreambooth4j.train;

import dreambooth4j.Problem;
import dreambooth4j.config.Config;
import dreambooth4j.config.EmaConfig;
import dreambooth4j.config.MemoryConfig;
import dreambooth4j.config.MemoryConfig.Checkpointing;
import dreambooth4j.config.OptimizerConfig;
import dreambooth4j.engine.Anchor;
import dreambooth4j.engine.Arena;
import dreambooth4j.engine.Device;
import dreambooth4j.engine.Optimizer;
import dreambooth4j.engine.Parameters;
import dreambooth4j.engine.Shards;
import dreambooth4j.engine.UpdateRule;
import dreambooth4j.engine.UpdateRules;
import dreambooth4j.engine.kernel.KernelOptimizer;
import dreambooth4j.engine.kernel.Kernels;
import dreambooth4j.pipeline.Devices;
import java.util.List;

/**
 * How a step learns, whatever the pictures: what of a configuration decides its arithmetic.
 *
 * @param optimizer the rule, its constants and the norm to clip to
 * @param memory checkpointing must be decided: auto counts as not
 * @param ema the averaged weights
 * @param anchor the pull towards the base model
 * @param loss which noise is added and what being off costs
 * @param seed decides every random draw
 */
public record Recipe(
    OptimizerConfig optimizer,
    MemoryConfig memory,
    EmaConfig ema,
    Anchor anchor,
    LossRecipe loss,
    long seed) {
  /** Without a pull towards the base model. */
  public Recipe(
      OptimizerConfig optimizer, MemoryConfig memory, EmaConfig ema, LossRecipe loss, long seed) {
    this(optimizer, memory, ema, Anchor.NONE, loss, seed);
  }

  /** As a run is configured. */
  public static Recipe of(Config config) {
    return new Recipe(
        config.optimizer(),
        config.memory(),
        config.ema(),
        anchor(config),
        LossRecipe.of(config),
        config.training().seed());
  }

  /**
   * The pull towards the base model. Of adapters both factors of a product are pulled towards zero
   * at half the strength: (1 − x/2)² of the product stay, which is the 1 − x of a weight's distance
   * but for x²/4.
   */
  private static Anchor anchor(Config config) {
    double weight = config.anchor().weight();
    return config.lora().used()
        ? new Anchor(weight / 2, null)
        : new Anchor(weight, Devices.typeOf(config.anchor().dtype()));
  }

  /**
   * What updates these groups; their gradients count as zero from here on.
   *
   * @param shards which part of them this process updates
   * @throws Problem where that takes kernels, and on CUDA ours are off
   */
  Optimizer updating(Arena run, List<Optimizer.Group> groups, Shards shards) {
    UpdateRule rule = rule();
    boolean fullBf16 =
        groups.stream().map(Optimizer.Group::parameters).anyMatch(Parameters::roundsAtRandom);
    if (run.device() == Device.CUDA && (memory.use8bitAdam() || fullBf16)) {
      requireKernels(run, rule);
    }
    Optimizer made =
        KernelOptimizer.orPlain(
            run,
            rule,
            groups,
            new Optimizer.Options(
                optimizer.maxGradNorm(), memory.use8bitAdam(), seed, anchor, shards));
    made.zeroGradients();
    return made;
  }

  private UpdateRule rule() {
    UpdateRule.Constants constants =
        new UpdateRule.Constants(
            optimizer.adamBeta1(),
            optimizer.adamBeta2(),
            optimizer.adamEpsilon(),
            optimizer.adamWeightDecay(),
            optimizer.arguments());
    return UpdateRules.named(optimizer.name().label(), constants);
  }

  /** Bytes of what will be remembered of weights that learn so. */
  long stateBytes(List<Parameters> weights) {
    return Optimizer.stateBytes(rule(), weights, memory.use8bitAdam());
  }

  private static void requireKernels(Arena run, UpdateRule rule) {
    if (!rule.hasKernel()) {
      throw Problem.usage(
          "full_bf16 is done on CUDA by kernels of ours, and optimizer: %s has none yet: leave out full_bf16, or take AdamW"
              .formatted(rule.name()));
    }
    if (Kernels.of(run) == null) {
      throw Problem.usage(
          "use_8bit_adam and full_bf16 are done on CUDA by kernels of ours, which DREAMBOOTH4J_KERNELS=off leaves out: unset it, or leave out these keys");
    }
  }

  /** Whether activations are computed again in backward. */
  boolean checkpoints() {
    return memory.gradientCheckpointing() == Checkpointing.TRUE;
  }
}
