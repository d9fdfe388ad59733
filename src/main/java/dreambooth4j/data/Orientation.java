package dreambooth4j.data;

import com.drew.imaging.FileType;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/**
 * Which way up a picture is, as its EXIF data say. They are a TIFF file within the file, and a
 * picture in TIFF format is one itself. Nothing else of them is read: what says that it is
 * gigabytes long takes no memory.
 */
final class Orientation {
  /** As the pixels lie in the file. */
  static final int UPRIGHT = 1;

  private static final int MOST = 8;
  private static final int TAG = 0x0112;
  private static final int SHORT = 3;
  private static final int ENTRY_BYTES = 12;
  private static final String PREAMBLE = "Exif\0\0";
  private static final int APP1 = 0xE1;

  private final PictureStream in;

  private Orientation(PictureStream in) {
    this.in = in;
  }

  /**
   * Of an open file, 1 to 8 as EXIF numbers them. A picture whose EXIF data are damaged counts as
   * upright: viewers show it so.
   *
   * @throws IOException when the file cannot be read
   */
  static int of(Path file, FileChannel open, FileType type) throws IOException {
    Orientation orientation = new Orientation(PictureStream.whole(file, open));
    try {
      long exif =
          switch (type) {
            case Tiff -> 0;
            case Jpeg -> orientation.inJpeg();
            case WebP -> orientation.inWebP();
            case Png -> PngChunks.of(file, open).exif();
            default -> -1;
          };
      return exif < 0 ? UPRIGHT : orientation.inTiff(exif);
    } catch (EOFException e) {
      return UPRIGHT;
    }
  }

  /** Where a JPEG's EXIF data begin; -1 if there are none before its pixels. */
  private long inJpeg() throws IOException {
    in.seek(2);
    while (true) {
      int marker = JpegScans.nextMarker(in);
      if (marker == JpegScans.START_OF_SCAN || marker == JpegScans.END_OF_IMAGE) {
        return -1;
      }
      long end = in.getStreamPosition();
      end += in.readUnsignedShort();
      if (marker == APP1 && isPreamble()) {
        return in.getStreamPosition();
      }
      in.seek(Math.max(end, in.getStreamPosition()));
    }
  }

  /** Where a WebP's EXIF data begin. */
  private long inWebP() throws IOException {
    in.setByteOrder(ByteOrder.LITTLE_ENDIAN);
    in.seek(12);
    while (true) {
      String chunk = text(4);
      long length = in.readUnsignedInt();
      long begin = in.getStreamPosition();
      if (chunk.equals("EXIF")) {
        return isPreamble() ? in.getStreamPosition() : begin;
      }
      in.seek(begin + length + length % 2);
    }
  }

  private boolean isPreamble() throws IOException {
    return text(PREAMBLE.length()).equals(PREAMBLE);
  }

  private String text(int bytes) throws IOException {
    byte[] text = new byte[bytes];
    in.readFully(text);
    return new String(text, StandardCharsets.ISO_8859_1);
  }

  /** The tag of this name in the first directory of a TIFF that begins here. */
  private int inTiff(long begin) throws IOException {
    in.seek(begin);
    String order = text(2);
    if (!order.equals("II") && !order.equals("MM")) {
      return UPRIGHT;
    }
    in.setByteOrder(order.equals("II") ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN);
    in.seek(begin + 4);
    in.seek(begin + in.readUnsignedInt());
    int entries = in.readUnsignedShort();
    long first = in.getStreamPosition();
    for (int i = 0; i < entries; i++) {
      in.seek(first + (long) i * ENTRY_BYTES);
      if (in.readUnsignedShort() == TAG && in.readUnsignedShort() == SHORT) {
        in.skipBytes(4);
        int value = in.readUnsignedShort();
        return value >= UPRIGHT && value <= MOST ? value : UPRIGHT;
      }
    }
    return UPRIGHT;
  }
}
