package dreambooth4j.data;

import dreambooth4j.config.DataConfig;

/** Says which size in pixels a picture is scaled and cropped to. */
public interface Buckets {
  /** The bucket of a picture of this size. */
  Bucket of(int width, int height);

  /** The buckets that a configuration asks for. */
  static Buckets of(DataConfig config) {
    return AspectBuckets.extension(config.resolution());
  }
}
