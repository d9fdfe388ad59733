package dreambooth4j.config;

/**
 * How pictures and captions reach the model.
 *
 * @param resolution pixels: a bucket has about resolution x resolution of them
 * @param hflip mirror each picture at random, half of the time
 * @param captions how captions are read and varied
 */
public record DataConfig(int resolution, boolean hflip, CaptionConfig captions) {
  /** As {@link CaptionConfig#shuffleTags}. */
  public boolean shuffleTags() {
    return captions.shuffleTags();
  }
}
