package dreambooth4j.data;

import com.drew.imaging.FileType;
import com.drew.imaging.FileTypeDetector;
import com.drew.imaging.ImageMetadataReader;
import com.drew.imaging.ImageProcessingException;
import com.drew.metadata.MetadataException;
import com.drew.metadata.exif.ExifIFD0Directory;
import dreambooth4j.Problem;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/** What a file says of itself before its pixels are decoded: its format and its orientation. */
final class PictureFile {
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

  private PictureFile() {}

  /** A file name's extension in lower case, without its dot; empty if it has none. */
  static String extension(Path file) {
    String name = String.valueOf(file.getFileName());
    return name.substring(Caption.stem(file).length()).replace(".", "").toLowerCase(Locale.ROOT);
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
   * @throws Problem if the file is no picture, or none that we read
   */
  static FileType format(Path file) throws IOException {
    FileType type;
    try (InputStream in = new BufferedInputStream(Files.newInputStream(file))) {
      type = FileTypeDetector.detectFileType(in);
    }
    if (READABLE.contains(type)) {
      return type;
    }
    String camera = CAMERA_FORMATS.getOrDefault(type, CAMERA_EXTENSIONS.get(extension(file)));
    if (camera != null) {
      throw unreadable(file, camera);
    }
    String found = type == FileType.Unknown ? contents(file) : "holds " + type.getLongName();
    throw Problem.data(
        "%s is no picture, whatever its name: it %s. Remove it or put the picture there (JPEG, PNG,"
                .formatted(file, found)
            + " WebP, BMP, GIF, TIFF)");
  }

  private static String contents(Path file) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      byte[] head = in.readNBytes(64);
      if (head.length == 0) {
        return "is empty";
      }
      for (byte b : head) {
        if (b >= 0 && b < ' ' && b != '\n' && b != '\r' && b != '\t') {
          return "holds data of an unknown kind";
        }
      }
      return "holds text";
    }
  }

  /**
   * The EXIF orientation, 1 (upright) to 8. A picture whose metadata are damaged counts as upright:
   * viewers show it so.
   */
  static int orientation(Path file, FileType type) throws IOException {
    if (type == FileType.Bmp || type == FileType.Gif) {
      return 1;
    }
    try (InputStream in = new BufferedInputStream(Files.newInputStream(file))) {
      var metadata = ImageMetadataReader.readMetadata(in, Files.size(file), type);
      for (var ifd0 : metadata.getDirectoriesOfType(ExifIFD0Directory.class)) {
        if (ifd0.containsTag(ExifIFD0Directory.TAG_ORIENTATION)) {
          int orientation = ifd0.getInt(ExifIFD0Directory.TAG_ORIENTATION);
          return orientation >= 1 && orientation <= 8 ? orientation : 1;
        }
      }
    } catch (ImageProcessingException | MetadataException e) {
      return 1;
    }
    return 1;
  }
}
