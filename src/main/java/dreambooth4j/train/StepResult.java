package dreambooth4j.train;

/**
 * What a step computed.
 *
 * @param gradientNorm before clipping, without the loss scale; not finite where the step was left
 *     out: no weight has changed, but with fused_backward_pass those before the bad gradient
 */
public record StepResult(Losses losses, double gradientNorm) {}
