package dreambooth4j.data;

import dreambooth4j.config.Crop;
import java.util.Locale;

/**
 * How a picture is brought into its bucket: scaled to width x height, and of that the bucket's
 * window at (left, top).
 */
public record CropBox(ImageSize picture, Bucket bucket, int width, int height, int left, int top) {
  /** Scales until the bucket is covered, and crops at the place; a random one about the centre. */
  public static CropBox of(ImageSize picture, Bucket bucket, Crop crop) {
    double scale =
        Math.max(
            (double) bucket.width() / picture.width(), (double) bucket.height() / picture.height());
    int width = Math.max(bucket.width(), (int) Math.round(picture.width() * scale));
    int height = Math.max(bucket.height(), (int) Math.round(picture.height() * scale));
    return new CropBox(
        picture,
        bucket,
        width,
        height,
        place(crop.x(), width - bucket.width()),
        place(crop.y(), height - bucket.height()));
  }

  /** The place from 0 to {@code room}; if drawn evenly, each of them is as likely. */
  private static int place(double at, int room) {
    return Math.max(0, (int) Math.ceil(at * (room + 1)) - 1);
  }

  /** How much larger the picture becomes; below 1 it shrinks. */
  public double scale() {
    return (double) width / picture.width();
  }

  /** In words, for people. */
  @Override
  public String toString() {
    return String.format(
        Locale.ROOT,
        "%dx%d scaled by %.3f to %dx%d, cropped to %s at %d,%d",
        picture.width(),
        picture.height(),
        scale(),
        width,
        height,
        bucket,
        left,
        top);
  }
}
