package dreambooth4j.data;

import com.drew.imaging.FileType;
import dreambooth4j.Problem;
import dreambooth4j.RegularFile;
import dreambooth4j.config.Crop;
import java.awt.image.BufferedImage;
import java.io.EOFException;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import javax.imageio.ImageIO;
import javax.imageio.ImageReadParam;
import javax.imageio.stream.ImageInputStream;
import org.jspecify.annotations.Nullable;

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

  private ImageReader() {}

  /**
   * The size of a picture, from its header alone.
   *
   * @throws Problem if the file is no picture that we read, or one of an absurd size
   */
  public static ImageSize size(Path file) {
    return open(file, ImageReader::checkedSize);
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
        picture -> {
          checkedSize(picture);
          return fit(decode(picture, 1), bucket, crop);
        });
  }

  /**
   * The opacity of a picture as grey, scaled and cropped as {@link #read(Path, Bucket, Crop)} does
   * the picture; null if it has none to say.
   *
   * @throws Problem as {@link #read(Path, Bucket)}
   */
  static @Nullable Pixels opacity(Path file, Bucket bucket, Crop crop) {
    return open(
            file,
            picture -> {
              checkedSize(picture);
              Pixels opacity = Rgb.opacity(decoded(picture, 1));
              return opacity == null
                  ? Optional.<Pixels>empty()
                  : Optional.of(fit(opacity.upright(picture.orientation()), bucket, crop));
            })
        .orElse(null);
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
        picture -> {
          ImageSize size = checkedSize(picture);
          int every = Math.max(size.width(), size.height()) / side;
          return decode(picture, Math.max(1, every));
        });
  }

  private static Pixels fit(Pixels image, Bucket bucket, Crop crop) {
    CropBox box = CropBox.of(new ImageSize(image.width(), image.height()), bucket, crop);
    return Resample.LANCZOS
        .scale(image, box.width(), box.height())
        .crop(box.left(), box.top(), bucket.width(), bucket.height());
  }

  /** The picture upright, of every so many rows and columns one. */
  private static Pixels decode(Opened picture, int every) throws IOException {
    return Rgb.of(decoded(picture, every)).upright(picture.orientation());
  }

  private static BufferedImage decoded(Opened picture, int every) throws IOException {
    if (picture.type == FileType.Jpeg) {
      requireFewScans(picture);
    }
    javax.imageio.ImageReader reader = picture.reader;
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
    return image;
  }

  private static void requireFewScans(Opened picture) throws IOException {
    int scans = JpegScans.count(PictureStream.whole(picture.file, picture.channel));
    if (scans > JpegScans.MOST) {
      throw Problem.data(
          "%s has %,d scans, which would take too long to decode; at most %d are read: save it again as a baseline JPEG or PNG"
              .formatted(picture.file, scans, JpegScans.MOST));
    }
  }

  private static ImageSize checkedSize(Opened picture) throws IOException {
    Path file = picture.file;
    int width = picture.reader.getWidth(0);
    int height = picture.reader.getHeight(0);
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
    return picture.orientation() >= 5 ? new ImageSize(height, width) : new ImageSize(width, height);
  }

  /** A picture that is open: its file, its decoder and its format. */
  private record Opened(
      Path file, FileChannel channel, javax.imageio.ImageReader reader, FileType type) {
    int orientation() throws IOException {
      return Orientation.of(file, channel, type);
    }
  }

  private interface Work<T> {
    T on(Opened picture) throws IOException;
  }

  /** Opens a picture, works on it, closes it, and names the file in whatever goes wrong. */
  private static <T> T open(Path file, Work<T> work) {
    try (FileChannel channel = RegularFile.channel(file)) {
      PictureFile.requirePictureSize(file, channel.size());
      return decoded(file, channel, work);
    } catch (IOException e) {
      throw new Problem(Problem.Kind.DATA, file + " cannot be read: " + Problem.why(e), e);
    }
  }

  private static <T> T decoded(Path file, FileChannel channel, Work<T> work) throws IOException {
    FileType type = PictureFile.format(file, channel);
    List<PictureStream.Range> parts =
        switch (type) {
          case Png -> PngChunks.of(file, channel).pixels();
          case Gif -> GifBlocks.pictureOf(PictureStream.whole(file, channel));
          default -> List.of(new PictureStream.Range(0, channel.size()));
        };
    try (ImageInputStream in = new PictureStream(file, channel, parts, PictureStream.LONGEST)) {
      Iterator<javax.imageio.ImageReader> readers = ImageIO.getImageReaders(in);
      if (!readers.hasNext()) {
        throw new IOException("no decoder knows this kind of " + type.getName());
      }
      javax.imageio.ImageReader reader = readers.next();
      try {
        // Of a TIFF's metadata it would read all, which may say that they are gigabytes long.
        reader.setInput(in, true, type == FileType.Tiff);
        return work.on(new Opened(file, channel, reader, type));
      } finally {
        reader.dispose();
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
    String message = e instanceof EOFException ? "it ends too soon" : e.getMessage();
    return "it seems damaged (%s)"
        .formatted(message == null ? e.getClass().getSimpleName() : message);
  }
}
