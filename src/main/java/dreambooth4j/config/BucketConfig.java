package dreambooth4j.config;

import java.util.Locale;

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
