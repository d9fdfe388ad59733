package dreambooth4j.data;

import dreambooth4j.Sha256;
import dreambooth4j.config.Crop;
import java.nio.file.Path;

/**
 * A picture as a step sees it: its file, and what is done to its pixels.
 *
 * @param crop a place; a random one was drawn before
 */
public record View(Path file, Bucket bucket, Crop crop, boolean mirrored) {
  /** To be raised when a file would come out as other pixels than before. */
  private static final int VERSION = 1;

  /**
   * What a file holds.
   *
   * @param sha256 of its bytes, in which its orientation is too
   * @param size of the picture standing upright
   */
  public record Source(String sha256, ImageSize size) {
    /**
     * Reads the file.
     *
     * @throws dreambooth4j.Problem if it is no picture that we read
     */
    public static Source of(Path file) {
      return new Source(Sha256.of(file), ImageReader.size(file));
    }
  }

  /**
   * The pixels, of the bucket's size.
   *
   * @throws dreambooth4j.Problem as {@link ImageReader#read}
   */
  public Pixels read() {
    Pixels pixels = ImageReader.read(file, bucket, crop);
    return mirrored ? pixels.hflip() : pixels;
  }

  /** All that decides the pixels, in words: equal for equal pixels wherever the file lies. */
  public String content(Source source) {
    CropBox box = CropBox.of(source.size(), bucket, crop);
    return "pixels %d, picture %s, %s of %dx%d at %d,%d, mirrored %s"
        .formatted(
            VERSION,
            source.sha256(),
            bucket,
            box.width(),
            box.height(),
            box.left(),
            box.top(),
            mirrored);
  }
}
