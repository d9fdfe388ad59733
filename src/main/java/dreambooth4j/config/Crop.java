package dreambooth4j.config;

/**
 * Where a picture that is larger than its bucket is cropped: at x and y, from 0 (left, top) to 1,
 * the point of the picture that falls on the same point of the window; whatever is there is inside.
 *
 * @param random whether the place is drawn anew each time, and x and y mean nothing
 */
public record Crop(boolean random, double x, double y) {
  /** About the centre. */
  public static final Crop CENTER = at(0.5, 0.5);

  /** Anywhere, drawn anew each time. */
  public static final Crop RANDOM = new Crop(true, 0.5, 0.5);

  /** At a place. */
  public static Crop at(double x, double y) {
    return new Crop(false, x, y);
  }

  /** This one, or where it is random the one at a place that was drawn evenly from 0 to 1. */
  public Crop drawn(double drawnX, double drawnY) {
    return random ? at(drawnX, drawnY) : this;
  }

  /** As it is written in a configuration. */
  @Override
  public String toString() {
    return random ? "random" : equals(CENTER) ? "center" : x + "," + y;
  }
}
