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
    int resolution, boolean hflip, CaptionConfig captions, BucketConfig buckets) {
  /** The largest resolution; a picture has at most its square of pixels. */
  public static final int MOST_RESOLUTION = 4096;

  static final Section<DataConfig> KEYS = new Section<>(Key.Group.DATA);

  static final Key<DataConfig, Integer> RESOLUTION =
      KEYS.key("resolution", ValueType.whole(16, MOST_RESOLUTION), DataConfig::resolution)
          .standard(512)
          .unit("pixels")
          .help(
              "Training resolution: each picture is scaled and cropped to a size of similar aspect"
                  + " ratio with about resolution x resolution pixels. Use the resolution the base"
                  + " model was trained at: 512 for Stable Diffusion 1, 768 for most of Stable"
                  + " Diffusion 2, 1024 for SDXL.");
  static final Key<DataConfig, Boolean> HFLIP =
      KEYS.key("hflip", ValueType.flag(), DataConfig::hflip)
          .standard(false)
          .help(
              "Show each picture mirrored left to right half of the time. Leave it off for"
                  + " subjects that are not symmetric, such as faces with a parting or anything"
                  + " with text on it.");

  static DataConfig of(Values run) {
    int resolution = run.get(RESOLUTION);
    return new DataConfig(
        resolution, run.get(HFLIP), CaptionConfig.of(run), BucketConfig.of(run, resolution));
  }
}
