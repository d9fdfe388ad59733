package dreambooth4j.review;

import org.jspecify.annotations.Nullable;

/**
 * What an action of a review did.
 *
 * @param said in words, for whoever did it
 * @param row the row where it shows; null if it shows at several or none
 */
public record Done(String said, @Nullable String row) {}
