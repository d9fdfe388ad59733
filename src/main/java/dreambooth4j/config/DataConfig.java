package dreambooth4j.config;

/**
 * How pictures and captions reach the model.
 *
 * @param resolution pixels: a bucket has about resolution x resolution of them
 * @param hflip mirror each picture at random, half of the time
 * @param captions how captions are read and varied
 * @param buckets which sizes pictures are brought to
 */
public record DataConfig(
    int resolution, boolean hflip, CaptionConfig captions, BucketConfig buckets) {}
