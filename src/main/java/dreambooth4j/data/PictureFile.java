package dreambooth4j.data;

import com.drew.imaging.FileType;
import com.drew.imaging.FileTypeDetector;
import dreambooth4j.Problem;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/** What a file says of itself before its pixels are decoded: its format. */
final class PictureFile {
  /** Enough to tell a format by. */
  private static final int HEAD_BYTES = 1024;

  /** Formats that cameras write and we do not read, by their extensions. */
  private static final Map<String, String> CAMERA_EXTENSIONS =
      Map.of("heic", "HEIC", "heif", "HEIC", "avif", "AVIF");

  /**
   * Extensions of pictures, of formats that we do not read too: those are refused, and none is left
   * out unnoticed.
   */
  static final Set<String> EXTENSIONS =
      Set.of(
          "jpg", "jpeg", "jfif", "png", "webp", "bmp", "gif", "tif", "tiff", "heic", "heif",
          "avif");

  private static final Set<FileType> READABLE =
      Set.of(FileType.Jpeg, FileType.Png, FileType.WebP, FileType.Bmp, FileType.Gif, FileType.Tiff);

  private static final Map<FileType, String> CAMERA_FORMATS =
      Map.of(FileType.Heif, "HEIC", FileType.Avif, "AVIF");

  /** What the largest picture that is read has without compression, and some. */
  static final long MOST_BYTES = 2L << 30;

  private PictureFile() {}

  /** Refuses a file that no picture fills: to read it to its end could take hours. */
  static void requirePictureSize(Path file, long bytes) {
    if (bytes > MOST_BYTES) {
      throw Problem.data(
          "%s has %,d bytes; a picture has at most %,d: save it anew, or remove it"
              .formatted(file, bytes, MOST_BYTES));
    }
  }

  /** A file name's extension in lower case, without its dot; empty if it has none. */
  static String extension(Path file) {
    String name = String.valueOf(file.getFileName());
    return name.substring(Companion.stem(file).length()).replace(".", "").toLowerCase(Locale.ROOT);
  }

  /** The problem of a picture in a format that we know but do not read. */
  private static Problem unreadable(Path file, String format) {
    return Problem.data(
        "%s is a %s picture, which is not read here: convert it to JPEG or PNG (for instance"
                .formatted(file, format)
            + " `magick in.%s out.png`)".formatted(format.toLowerCase(Locale.ROOT)));
  }

  /**
   * The format of a file, by its first bytes whatever its name.
   *
   * @throws Problem if the file is no picture, none that we read, or a WebP that was cut short
   */
  static FileType format(Path file, FileChannel open) throws IOException {
    byte[] head = head(open);
    FileType type = FileTypeDetector.detectFileType(new ByteArrayInputStream(head));
    if (READABLE.contains(type)) {
      if (type == FileType.WebP) {
        requireWhole(file, open.size(), head);
      }
      return type;
    }
    String camera = CAMERA_FORMATS.getOrDefault(type, CAMERA_EXTENSIONS.get(extension(file)));
    if (camera != null) {
      throw unreadable(file, camera);
    }
    String found = type == FileType.Unknown ? contents(head) : "holds " + type.getLongName();
    throw Problem.data(
        "%s is not a picture, despite its name: it %s. Remove it or put the picture there"
                .formatted(file, found)
            + " (JPEG, PNG, WebP, BMP, GIF, TIFF)");
  }

  private static byte[] head(FileChannel open) throws IOException {
    ByteBuffer head = ByteBuffer.allocate(HEAD_BYTES);
    while (head.hasRemaining() && open.read(head, head.position()) > 0) {}
    return Arrays.copyOf(head.array(), head.position());
  }

  /** A decoder takes what is missing of a lossless WebP for pixels. */
  private static void requireWhole(Path file, long size, byte[] head) {
    ByteBuffer riff = ByteBuffer.wrap(head).order(ByteOrder.LITTLE_ENDIAN);
    long expected = 8 + (riff.getInt(4) & 0xFFFF_FFFFL);
    if (size < expected) {
      throw Problem.data(
          "%s cannot be read: it seems damaged (it has %,d bytes and says that it has %,d)"
              .formatted(file, size, expected));
    }
  }

  private static String contents(byte[] head) {
    if (head.length == 0) {
      return "is empty";
    }
    for (byte b : Arrays.copyOf(head, Math.min(64, head.length))) {
      if (b >= 0 && b < ' ' && b != '\n' && b != '\r' && b != '\t') {
        return "holds data of an unknown kind";
      }
    }
    return "holds text";
  }
}
