package dreambooth4j.config;

/**
 * How pictures and captions reach the model.
 *
 * @param resolution pixels: a bucket has about resolution x resolution of them
 * @param hflip mirror each picture at random, half of the time
 * @param shuffleTags put all tags of a prompt but the first in a new order each time it is shown
 */
public record DataConfig(int resolution, boolean hflip, boolean shuffleTags) {}
