package dreambooth4j.config;

import java.util.Locale;

/**
 * What a run does to need less memory.
 *
 * @param gradientCheckpointing whether activations are computed again on the way back
 * @param use8bitAdam AdamW's moments in 8 bits rather than 32
 * @param fusedBackwardPass each gradient goes to the optimizer as soon as it is final
 */
public record MemoryConfig(
    Checkpointing gradientCheckpointing, boolean use8bitAdam, boolean fusedBackwardPass) {
  /** The same, but for checkpointing. */
  public MemoryConfig with(Checkpointing other) {
    return new MemoryConfig(other, use8bitAdam, fusedBackwardPass);
  }

  /** Whether activations are computed again on the way back. */
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
