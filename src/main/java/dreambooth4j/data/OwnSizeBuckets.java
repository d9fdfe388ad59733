package dreambooth4j.data;

import dreambooth4j.Problem;

/**
 * Kohya's {@code bucket_no_upscale}: each picture has a size of its own, its sides rounded to
 * steps. One with more pixels than the resolution has is scaled down first; none is enlarged.
 */
final class OwnSizeBuckets implements Buckets {
  private final double area;
  private final int step;

  /** For pictures of at most resolution² pixels. */
  OwnSizeBuckets(int resolution, int step) {
    this.area = (double) resolution * resolution;
    this.step = step;
  }

  @Override
  public Bucket of(int width, int height) {
    int w = width;
    int h = height;
    if ((double) width * height > area) {
      double ratio = (double) width / height;
      int byWidth = rounded(Math.sqrt(area * ratio));
      int byHeight = rounded(Math.sqrt(area / ratio));
      // The side whose rounding changes the ratio less is the one that is rounded.
      double widthFirst = (double) byWidth / rounded(byWidth / ratio);
      double heightFirst = (double) rounded(byHeight * ratio) / byHeight;
      boolean takeWidth = Math.abs(widthFirst - ratio) < Math.abs(heightFirst - ratio);
      w = takeWidth ? byWidth : (int) (byHeight * ratio + 0.5);
      h = takeWidth ? (int) (byWidth / ratio + 0.5) : byHeight;
    }
    if (w < step || h < step) {
      throw Problem.data(
          ("a picture of %d x %d pixels is too narrow for bucket_no_upscale with steps of %d: enlarge"
                  + " or crop it, or set bucket_no_upscale: false")
              .formatted(width, height, step));
    }
    return new Bucket(w - w % step, h - h % step);
  }

  private int rounded(double side) {
    int whole = (int) (side + 0.5);
    return whole - whole % step;
  }
}
