package dreambooth4j.data;

import com.drew.imaging.FileType;
import dreambooth4j.Problem;
import dreambooth4j.config.Crop;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import javax.imageio.ImageIO;
import javax.imageio.ImageReadParam;
import javax.imageio.stream.ImageInputStream;

/**
 * Reads pictures: JPEG (CMYK too), PNG, WebP, BMP, TIFF and the first frame of a GIF, upright by
 * their EXIF orientation, what is transparent on white.
 */
public final class ImageReader {
  /** More is a decompression bomb, or a picture that nobody trains with unscaled. */
  private static final long MOST_PIXELS = 100_000_000;

  private static final int LONGEST_RATIO = 32;

  static {
    ImageIO.setUseCache(false);
  }

  /** Width and height in pixels of a picture standing upright. */
  public record Size(int width, int height) {}

  private ImageReader() {}

  /**
   * The size of a picture, from its header alone.
   *
   * @throws Problem if the file is no picture that we read, or one of an absurd size
   */
  public static Size size(Path file) {
    return open(file, (reader, type) -> checkedSize(file, reader, type));
  }

  /**
   * Reads a picture, scales it (Lanczos) until it covers the bucket and crops it about its centre.
   *
   * @throws Problem if the file is no picture that we read, is damaged or has an absurd size
   */
  public static Pixels read(Path file, Bucket bucket) {
    return read(file, bucket, Crop.CENTER);
  }

  /** As {@link #read(Path, Bucket)}, cropped elsewhere; a random crop is drawn by the caller. */
  public static Pixels read(Path file, Bucket bucket, Crop crop) {
    return open(
        file,
        (reader, type) -> {
          checkedSize(file, reader, type);
          return fit(decode(file, reader, type, 1), bucket, crop);
        });
  }

  /**
   * Reads a whole picture, a large one without most of its rows and columns, which spares memory.
   *
   * @param side its longer side keeps at least this many pixels, if it has them
   * @throws Problem if the file is no picture that we read, is damaged or has an absurd size
   */
  static Pixels readCoarsely(Path file, int side) {
    return open(
        file,
        (reader, type) -> {
          Size size = checkedSize(file, reader, type);
          int every = Math.max(size.width(), size.height()) / side;
          return decode(file, reader, type, Math.max(1, every));
        });
  }

  private static Pixels fit(Pixels image, Bucket bucket, Crop crop) {
    CropBox box = CropBox.of(new Size(image.width(), image.height()), bucket, crop);
    return Lanczos.scale(image, box.width(), box.height())
        .crop(box.left(), box.top(), bucket.width(), bucket.height());
  }

  /** The picture upright, of every so many rows and columns one. */
  private static Pixels decode(
      Path file, javax.imageio.ImageReader reader, FileType type, int every) throws IOException {
    List<String> warnings = new ArrayList<>();
    reader.addIIOReadWarningListener((source, warning) -> warnings.add(warning));
    ImageReadParam how = reader.getDefaultReadParam();
    how.setSourceSubsampling(every, every, every / 2, every / 2);
    BufferedImage image = reader.read(0, how);
    for (String warning : warnings) {
      if (warning.contains("EOF") || warning.contains("end of") || warning.contains("truncated")) {
        throw new IOException(warning);
      }
    }
    return Rgb.of(image).upright(PictureFile.orientation(file, type));
  }

  private static Size checkedSize(Path file, javax.imageio.ImageReader reader, FileType type)
      throws IOException {
    int width = reader.getWidth(0);
    int height = reader.getHeight(0);
    if ((long) width * height > MOST_PIXELS) {
      throw Problem.data(
          "%s declares %d x %d pixels; at most %d million are read: scale it down"
              .formatted(file, width, height, MOST_PIXELS / 1_000_000));
    }
    if (Math.max(width, height) > (long) LONGEST_RATIO * Math.min(width, height)) {
      throw Problem.data(
          "%s is %d x %d pixels: one side is over %d times the other; crop it"
              .formatted(file, width, height, LONGEST_RATIO));
    }
    return PictureFile.orientation(file, type) >= 5
        ? new Size(height, width)
        : new Size(width, height);
  }

  private interface Work<T> {
    T on(javax.imageio.ImageReader reader, FileType type) throws IOException;
  }

  /** Opens a picture, works on it, closes it, and names the file in whatever goes wrong. */
  private static <T> T open(Path file, Work<T> work) {
    if (!Files.isRegularFile(file)) {
      throw Problem.data(file + " is not there");
    }
    try {
      FileType type = PictureFile.format(file);
      try (ImageInputStream in = ImageIO.createImageInputStream(file.toFile())) {
        Iterator<javax.imageio.ImageReader> readers = ImageIO.getImageReaders(in);
        if (!readers.hasNext()) {
          throw new IOException("no decoder knows this kind of " + type.getName());
        }
        javax.imageio.ImageReader reader = readers.next();
        try {
          reader.setInput(in, true);
          return work.on(reader, type);
        } finally {
          reader.dispose();
        }
      }
    } catch (Problem e) {
      throw e;
    } catch (OutOfMemoryError e) {
      throw new Problem(Problem.Kind.DATA, file + " does not fit into memory: scale it down", e);
    } catch (IOException | RuntimeException e) {
      // Decoders meet damaged files with exceptions of every kind.
      throw new Problem(Problem.Kind.DATA, "%s cannot be read: %s".formatted(file, reason(e)), e);
    }
  }

  private static String reason(Exception e) {
    String message = e.getMessage();
    return "it seems damaged (%s)"
        .formatted(message == null ? e.getClass().getSimpleName() : message);
  }
}
