package dreambooth4j.config;

import org.jspecify.annotations.Nullable;

/**
 * The pull of the trained weights towards the base model's.
 *
 * @param weight its strength, beside the learning rate; 0 for none
 * @param dtype type of the copy of the base model's weights, where one is kept
 */
public record AnchorConfig(double weight, FloatType dtype) {
  static final Section<AnchorConfig> KEYS = new Section<>(Key.Group.TRAINING);

  static final Key<AnchorConfig, Double> ANCHOR_WEIGHT =
      KEYS.key("anchor_weight", ValueType.upTo(1e9), AnchorConfig::weight)
          .standard(0.0)
          .help(
              "Pull of the trained weights towards the base model's: each step removes this times"
                  + " the learning rate of their difference. 500 removes two thirds in 1000 steps"
                  + " at 2e-6; more protects other words and learns the subject less; 0 is off."
                  + " Takes 4 bytes of memory per weight, none with use_lora.");

  static final Key<AnchorConfig, FloatType> ANCHOR_DTYPE =
      KEYS.key("anchor_dtype", ValueType.oneOf(FloatType.class), AnchorConfig::dtype)
          .standard(FloatType.FP32)
          .help(
              "With anchor_weight, number type of the copy of the base model's weights: fp16 and"
                  + " bf16 take 2 bytes of memory per weight instead of 4, and pull towards the"
                  + " rounded weights; a model that was published in fp16 loses nothing in fp16.");

  /** The pull of a run by this rule, of all weights or of adapters. */
  static AnchorConfig of(Values run, OptimizerConfig optimizer, LoraConfig lora) {
    AnchorConfig made = new AnchorConfig(run.get(ANCHOR_WEIGHT), run.get(ANCHOR_DTYPE));
    if (made.weight == 0) {
      run.remarkUseless(ANCHOR_DTYPE, "anchor_weight is 0");
      return made;
    }
    if (lora.used()) {
      run.remarkUseless(
          ANCHOR_DTYPE, "use_lora: true keeps no copy of the base model's weights to pull towards");
    }
    String refusal = made.refusal(optimizer, lora);
    if (refusal != null) {
      run.error("anchor_weight: " + refusal);
    }
    return made;
  }

  private @Nullable String refusal(OptimizerConfig optimizer, LoraConfig lora) {
    if (lora.used() && lora.kind() != LoraConfig.Kind.LORA) {
      return "anchor_weight does not work with lora_kind: %s: take lora_kind: lora, or leave out anchor_weight"
          .formatted(lora.kind());
    }
    boolean scales = optimizer.arguments().getOrDefault("scale_parameter", 0.0) != 0;
    if (optimizer.name() == OptimizerName.ADAFACTOR && scales) {
      return "with scale_parameter=true Adafactor moves each tensor at a rate of its own, and so would the pull: leave out scale_parameter, or anchor_weight";
    }
    boolean ownRate =
        optimizer.name() == OptimizerName.PRODIGY
            || optimizer.arguments().getOrDefault("relative_step", 0.0) != 0;
    if (!ownRate && weight * optimizer.fastest() > 1) {
      return "%s times the learning rate %s is more than 1, so a step would pull the weights beyond the base model's: %s at most"
          .formatted(weight, optimizer.fastest(), 1 / optimizer.fastest());
    }
    return null;
  }
}
