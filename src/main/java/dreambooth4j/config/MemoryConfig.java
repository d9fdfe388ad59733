package dreambooth4j.config;

import dreambooth4j.config.ComputeConfig.MixedPrecision;
import java.util.Locale;

/**
 * What a run does to need less memory.
 *
 * @param gradientCheckpointing whether activations are computed again in backward
 * @param use8bitAdam what the optimizer remembers of each weight in 8 bits rather than 32
 * @param fusedBackwardPass each gradient goes to the optimizer as soon as it is final
 * @param unloadFrozen what steps do not compute with is in memory only while it is needed
 * @param shardOptimizer each of several processes remembers moments of its part of the weights
 *     alone
 */
public record MemoryConfig(
    Checkpointing gradientCheckpointing,
    boolean use8bitAdam,
    boolean fusedBackwardPass,
    boolean unloadFrozen,
    boolean shardOptimizer) {
  static final Section<MemoryConfig> KEYS = new Section<>(Key.Group.MEMORY);

  static final Key<MemoryConfig, Checkpointing> GRADIENT_CHECKPOINTING =
      KEYS.key(
              "gradient_checkpointing",
              ValueType.flagOr(Checkpointing.class),
              MemoryConfig::gradientCheckpointing)
          .standard(Checkpointing.AUTO)
          .help(
              "Compute activations again in the backward pass instead of storing them: saves about"
                  + " three quarters of their memory, takes about a third more time and gives the"
                  + " same weights. auto turns it on if the run would not fit into memory"
                  + " otherwise.");

  /** Null where the optimizer's name decides. */
  static final Key<MemoryConfig, Boolean> USE_8BIT_ADAM =
      KEYS.key("use_8bit_adam", ValueType.flag(), MemoryConfig::use8bitAdam)
          .otherwise("as optimizer")
          .help(
              "Store the optimizer's states in 8 bits instead of 32, which saves three quarters of"
                  + " their memory; updates take longer and are rounded.");

  static final Key<MemoryConfig, Boolean> FUSED_BACKWARD_PASS =
      KEYS.key("fused_backward_pass", ValueType.flag(), MemoryConfig::fusedBackwardPass)
          .standard(false)
          .help(
              "Update each weight as soon as its gradient is computed and free the gradient at"
                  + " once: saves 4 bytes of memory per trained weight. Needs max_grad_norm: 0 and"
                  + " gradient_accumulation_steps: 1, and does not work with fp16.");

  static final Key<MemoryConfig, Boolean> UNLOAD_FROZEN =
      KEYS.key("unload_frozen", ValueType.flag(), MemoryConfig::unloadFrozen)
          .standard(false)
          .help(
              "Keep the VAE, and text encoders that are not trained, in memory only while they are"
                  + " used: saves their weights' memory during training, 2 GB for SDXL in bf16."
                  + " They are loaded again for each round of samples, and in every step with"
                  + " shuffle_tags or crop: random.");

  static final Key<MemoryConfig, Boolean> SHARD_OPTIMIZER =
      KEYS.key("shard_optimizer", ValueType.flag(), MemoryConfig::shardOptimizer)
          .standard(false)
          .help(
              "With several processes (--nproc, torchrun), each process stores only its part of the"
                  + " optimizer's states and updates that part of the weights (ZeRO-1): with AdamW"
                  + " and 2 processes 4 bytes of memory per weight instead of 8. If a process is"
                  + " lost, the run resumes from its last checkpoint.");

  /** Without unloading and sharding. */
  public MemoryConfig(
      Checkpointing gradientCheckpointing, boolean use8bitAdam, boolean fusedBackwardPass) {
    this(gradientCheckpointing, use8bitAdam, fusedBackwardPass, false, false);
  }

  static MemoryConfig of(Values run) {
    MemoryConfig config =
        new MemoryConfig(
            run.get(GRADIENT_CHECKPOINTING),
            use8bitAdam(run),
            run.get(FUSED_BACKWARD_PASS),
            run.get(UNLOAD_FROZEN),
            run.get(SHARD_OPTIMIZER));
    if (config.fusedBackwardPass) {
      checkFused(run);
    }
    OptimizerName name = OptimizerName.of(run.get(OptimizerConfig.OPTIMIZER));
    if (config.use8bitAdam && !name.fits8Bits()) {
      run.error(
          "use_8bit_adam: true is not for optimizer: %s, whose numbers need 32 bits: leave it out, or take 8bit AdamW"
              .formatted(name.label()));
    }
    if (config.shardOptimizer && name == OptimizerName.ADAFACTOR) {
      run.error(
          "shard_optimizer cuts what the optimizer remembers within tensors, and optimizer: Adafactor needs sums over their whole rows and columns: leave out shard_optimizer, for Adafactor remembers little, or take another optimizer");
    }
    return config;
  }

  private static void checkFused(Values run) {
    if (run.get(OptimizerConfig.MAX_GRAD_NORM) > 0) {
      run.error(
          "fused_backward_pass updates before the norm of all gradients is known: set max_grad_norm: 0, or leave out fused_backward_pass");
    }
    if (run.get(TrainingConfig.GRADIENT_ACCUMULATION_STEPS) > 1) {
      run.error(
          "fused_backward_pass updates after every batch: set gradient_accumulation_steps: 1 and raise train_batch_size, or leave out fused_backward_pass");
    }
    if (OptimizerName.of(run.get(OptimizerConfig.OPTIMIZER)) == OptimizerName.PRODIGY) {
      run.error(
          "fused_backward_pass updates before all gradients are known, which optimizer: Prodigy needs: leave out fused_backward_pass");
    }
    if (run.get(ComputeConfig.MIXED_PRECISION) == MixedPrecision.FP16) {
      run.error(
          "fused_backward_pass updates before it is known whether fp16's gradients are all finite: set mixed_precision: bf16, or leave out fused_backward_pass");
    }
  }

  /**
   * Whether moments are held in 8 bits: what use_8bit_adam says goes before the optimizer's name,
   * unless that is given more strongly.
   */
  private static boolean use8bitAdam(Values run) {
    Boolean said = run.orNull(USE_8BIT_ADAM);
    if (said == null || run.outranks(OptimizerConfig.OPTIMIZER, USE_8BIT_ADAM)) {
      return OptimizerName.in8Bits(run.get(OptimizerConfig.OPTIMIZER));
    }
    return said;
  }

  /** The same, but for checkpointing. */
  public MemoryConfig with(Checkpointing other) {
    return new MemoryConfig(other, use8bitAdam, fusedBackwardPass, unloadFrozen, shardOptimizer);
  }

  /** The same, but for whether the optimizer's states are cut over processes. */
  public MemoryConfig sharding(boolean other) {
    return new MemoryConfig(
        gradientCheckpointing, use8bitAdam, fusedBackwardPass, unloadFrozen, other);
  }

  /** Whether activations are computed again in backward. */
  public enum Checkpointing {
    /** Always. */
    TRUE,
    /** Never. */
    FALSE,
    /** Where the run does not fit into memory without. */
    AUTO;

    /** The name in configuration files. */
    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }
}
