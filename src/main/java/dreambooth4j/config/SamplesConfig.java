package dreambooth4j.config;

import org.jspecify.annotations.Nullable;

/**
 * When pictures are drawn to watch the training, and how.
 *
 * @param validationPrompt a prompt to draw beside those of the concepts; null draws none
 * @param numValidationImages pictures of it each time
 * @param validationSteps steps from one drawing to the next; 0 leaves it to savePreviewEvery
 * @param savePreviewEvery epochs from one drawing to the next; 0 leaves it to validationSteps
 * @param scheduler the sampler of samples and class images, one of {@link Keys#SAMPLERS}; null is
 *     the base model's own
 */
public record SamplesConfig(
    @Nullable String validationPrompt,
    int numValidationImages,
    int validationSteps,
    int savePreviewEvery,
    @Nullable String scheduler) {}
