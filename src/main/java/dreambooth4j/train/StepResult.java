package dreambooth4j.train;

/**
 * What a step computed.
 *
 * @param gradientNorm before clipping, without the loss scale; not finite where the step changed no
 *     weight
 */
public record StepResult(Losses losses, double gradientNorm) {}
