package dreambooth4j.config;

import dreambooth4j.diffusion.SamplerKind;
import org.jspecify.annotations.Nullable;

/**
 * A line of a file of sample prompts.
 *
 * @param line its number in the file, from 1
 * @param negative what is drawn away from; empty for nothing
 * @param width pixels, a multiple of 8; null for the run's resolution. Height likewise
 * @param steps of the sampler
 * @param guidance how closely it follows the prompt
 * @param seed of its noise; null for the run's
 * @param sampler null for the run's
 */
public record SamplePrompt(
    int line,
    String prompt,
    String negative,
    @Nullable Integer width,
    @Nullable Integer height,
    int steps,
    double guidance,
    @Nullable Long seed,
    @Nullable SamplerKind sampler) {}
