package dreambooth4j.data;

import dreambooth4j.config.BucketConfig;
import dreambooth4j.config.DataConfig;

/** Says which size in pixels a picture is scaled and cropped to. */
public interface Buckets {
  /** The bucket of a picture of this size. */
  Bucket of(int width, int height);

  /** The buckets that a configuration asks for. */
  static Buckets of(DataConfig config) {
    BucketConfig how = config.buckets();
    int resolution = config.resolution();
    return switch (how.list()) {
      case EXTENSION -> AspectBuckets.extension(resolution);
      case ONETRAINER -> AspectBuckets.oneTrainer(resolution);
      case KOHYA ->
          how.noUpscale()
              ? new OwnSizeBuckets(resolution, how.step())
              : AspectBuckets.kohya(resolution, how.min(), how.max(), how.step());
    };
  }
}
