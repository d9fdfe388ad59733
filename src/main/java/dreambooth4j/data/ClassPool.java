package dreambooth4j.data;

/**
 * What class images are kept apart by: an instance picture is paired with class images of its own
 * concept, size and class caption only.
 *
 * @param concept the concept's place in the configuration, from 0
 */
public record ClassPool(int concept, Bucket bucket, String caption) {}
