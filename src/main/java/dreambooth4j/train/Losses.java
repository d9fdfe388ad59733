package dreambooth4j.train;

import org.jspecify.annotations.Nullable;

/**
 * Mean losses: total = instance + prior loss weight × prior.
 *
 * @param prior without its weight; null where there were no prior rows
 */
public record Losses(double total, double instance, @Nullable Double prior) {}
