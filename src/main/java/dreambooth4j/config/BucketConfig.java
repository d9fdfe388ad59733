package dreambooth4j.config;

import dreambooth4j.config.Layer.Raw;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Which sizes pictures are brought to.
 *
 * @param list whose list of sizes
 * @param min pixels of kohya's shortest side
 * @param max pixels of kohya's longest side
 * @param step what kohya's sides are multiples of
 * @param noUpscale give a picture a size of its own rather than enlarge it, as kohya does
 * @param remainder what becomes of pictures that do not fill a batch
 */
public record BucketConfig(
    List list, int min, int max, int step, boolean noUpscale, Remainder remainder) {
  static final Section<BucketConfig> KEYS = new Section<>(Key.Group.DATA);

  static final Key<BucketConfig, List> LIST =
      KEYS.key("buckets", ValueType.oneOf(List.class), BucketConfig::list)
          .standard(List.EXTENSION)
          .help(
              "List of training sizes (aspect ratio buckets): that of sd_dreambooth_extension,"
                  + " kohya's sd-scripts or OneTrainer. Each picture is scaled and cropped to the"
                  + " size with the nearest aspect ratio. Change it to reproduce what one of these"
                  + " trainers does.");
  static final Key<BucketConfig, Integer> MIN =
      KEYS.key("min_bucket_reso", ValueType.whole(8, 16_384), b -> b.ifKohya(b.min))
          .standard(256)
          .unit("pixels")
          .help("Shortest side of a picture size; only with buckets: kohya.");
  static final Key<BucketConfig, Integer> MAX =
      KEYS.key("max_bucket_reso", ValueType.whole(8, 16_384), b -> b.ifKohya(b.max))
          .standard(1024)
          .unit("pixels")
          .help("Longest side of a picture size; only with buckets: kohya.");
  static final Key<BucketConfig, Integer> STEP =
      KEYS.key("bucket_reso_steps", ValueType.multipleOf(8, 1024), b -> b.ifKohya(b.step))
          .standard(64)
          .unit("pixels")
          .help(
              "The sides of picture sizes are multiples of this: with less, fewer pixels are"
                  + " cropped away and there are more sizes; only with buckets: kohya.");
  static final Key<BucketConfig, Boolean> NO_UPSCALE =
      KEYS.key("bucket_no_upscale", ValueType.flag(), b -> b.ifKohya(b.noUpscale))
          .standard(false)
          .help(
              "Train a picture that is smaller than its size in the list at a smaller size instead"
                  + " of enlarging it; only with buckets: kohya.");
  static final Key<BucketConfig, Remainder> REMAINDER =
      KEYS.key("bucket_remainder", ValueType.oneOf(Remainder.class), BucketConfig::remainder)
          .standard(Remainder.KEEP)
          .help(
              "What happens to pictures of one size that do not fill a batch: keep trains a smaller"
                  + " batch, drop leaves them out of this epoch, fill repeats other pictures of the"
                  + " same size.");

  static BucketConfig of(Values run, int resolution) {
    BucketConfig config =
        new BucketConfig(
            run.get(LIST),
            run.get(MIN),
            run.get(MAX),
            run.get(STEP),
            run.get(NO_UPSCALE),
            run.get(REMAINDER));
    if (config.list == List.KOHYA) {
      config.check(run, resolution);
      return config;
    }
    for (Key<BucketConfig, ?> key : java.util.List.of(MIN, MAX, STEP, NO_UPSCALE)) {
      Raw raw = run.raw(key);
      if (raw != null && run.has(key)) {
        run.error(
            "%s belongs to kohya's sizes: add buckets: kohya, or remove it"
                .formatted(raw.at(key.name())));
      }
    }
    return config;
  }

  private void check(Values run, int resolution) {
    if (min > max) {
      run.error("min_bucket_reso %d is above max_bucket_reso %d".formatted(min, max));
    }
    if (min % step != 0 || max % step != 0) {
      run.error(
          "bucket_reso_steps: min_bucket_reso %d and max_bucket_reso %d must be multiples of %d"
              .formatted(min, max, step));
    }
    if (step > resolution) {
      run.error("bucket_reso_steps %d is above the resolution %d".formatted(step, resolution));
    }
  }

  /** A parameter of kohya's list; the others have none. */
  private <T> @Nullable T ifKohya(T value) {
    return list == List.KOHYA ? value : null;
  }

  /** Trainers whose sizes are known. */
  public enum List {
    /** sd_dreambooth_extension. */
    EXTENSION,
    /** kohya's sd-scripts. */
    KOHYA,
    /** OneTrainer. */
    ONETRAINER;

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** What becomes of the pictures of a size that do not fill a batch. */
  public enum Remainder {
    /** They are a short batch. */
    KEEP,
    /** They wait for another epoch, which leaves out others. */
    DROP,
    /** The batch is filled with others of the same size, which come twice in this epoch. */
    FILL;

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }
}
