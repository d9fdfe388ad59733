package dreambooth4j.data;

import java.nio.file.Path;

/**
 * A picture made small for a page: whole, upright and in the colours that training sees, in a
 * format that every browser shows, whatever the file's own.
 */
public final class Thumbnail {
  /** Below this many pixels PNG is hardly larger than JPEG, and exact. */
  private static final int FEW_PIXELS = 128 * 128;

  /** What is read before it is scaled, for each pixel of the thumbnail's side. */
  private static final int OVERSAMPLING = 4;

  private static final float QUALITY = 0.85f;

  private final byte[] file;
  private final String mediaType;
  private final ImageSize source;
  private final Likeness likeness;

  private Thumbnail(byte[] file, String mediaType, ImageSize source, Likeness likeness) {
    this.file = file;
    this.mediaType = mediaType;
    this.source = source;
    this.likeness = likeness;
  }

  /**
   * Reads a picture and makes it small.
   *
   * @param maxSide its longer side has at most this many pixels; smaller pictures stay as they are
   * @throws dreambooth4j.Problem if the file is no picture that we read, is damaged or has an
   *     absurd size
   */
  public static Thumbnail of(Path picture, int maxSide) {
    ImageSize source = ImageReader.size(picture);
    Pixels pixels = ImageReader.readCoarsely(picture, OVERSAMPLING * maxSide);
    double scale = Math.min(1, (double) maxSide / Math.max(source.width(), source.height()));
    Pixels small =
        Resample.LANCZOS.scale(
            pixels, scaled(source.width(), scale), scaled(source.height(), scale));
    Likeness likeness = Likeness.of(small);
    return small.width() * small.height() <= FEW_PIXELS
        ? new Thumbnail(Png.encode(small), "image/png", source, likeness)
        : new Thumbnail(Jpeg.encode(Rgb.image(small), QUALITY), "image/jpeg", source, likeness);
  }

  private static int scaled(int side, double scale) {
    return Math.max(1, (int) Math.round(side * scale));
  }

  /** The thumbnail as a file's content. */
  public byte[] file() {
    return file;
  }

  /** {@code image/png} or {@code image/jpeg}. */
  public String mediaType() {
    return mediaType;
  }

  /** The size of the picture it was made of, upright. */
  public ImageSize source() {
    return source;
  }

  /** What tells whether another picture is nearly the same. */
  public Likeness likeness() {
    return likeness;
  }
}
