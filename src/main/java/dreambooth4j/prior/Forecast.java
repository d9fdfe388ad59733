package dreambooth4j.prior;

import dreambooth4j.data.Bucket;
import java.util.function.ToIntFunction;

/**
 * How long the class images that are missing will take, from one batch that was timed.
 *
 * @param seconds for all of them; loading the model and writing files are not in it
 * @param speed what it is taken from
 */
public record Forecast(double seconds, Speed speed) {
  /**
   * What one batch took.
   *
   * @param bucket the size of its pictures
   * @param pictures how many were made at once
   * @param guided whether each took two rows of the network, with guidance, or one
   * @param stepSeconds one step of the sampler
   * @param decodeSeconds from latents to pictures
   */
  public record Speed(
      Bucket bucket, int pictures, boolean guided, double stepSeconds, double decodeSeconds) {
    /** What one picture of a need takes in so many steps: by its pixels and its rows. */
    private double seconds(ClassImagePlan.Need need, int steps) {
      double size = pixels(need.pool().bucket()) / pixels(bucket);
      double rows = (isGuided(need) ? 2.0 : 1.0) / (guided ? 2.0 : 1.0);
      return size * (steps * rows * stepSeconds + decodeSeconds) / pictures;
    }
  }

  /**
   * The forecast for a plan.
   *
   * @param steps how often a need's sampler asks the network
   */
  static Forecast of(ClassImagePlan plan, Speed speed, ToIntFunction<ClassImagePlan.Need> steps) {
    double seconds = 0;
    for (ClassImagePlan.Need need : plan.needs()) {
      if (need.missing() > 0) {
        seconds += need.missing() * speed.seconds(need, steps.applyAsInt(need));
      }
    }
    return new Forecast(seconds, speed);
  }

  static boolean isGuided(ClassImagePlan.Need need) {
    return need.concept().classImages().guidanceScale() > 1;
  }

  private static double pixels(Bucket bucket) {
    return (double) bucket.width() * bucket.height();
  }

  /** The time for people: 45 s, 12 min, 3 h 20 min. */
  public String inWords() {
    long minutes = Math.round(seconds / 60);
    if (seconds < 99.5) {
      return Math.max(1, Math.round(seconds)) + " s";
    }
    return minutes < 100 ? minutes + " min" : "%d h %d min".formatted(minutes / 60, minutes % 60);
  }
}
