package dreambooth4j.data;

import java.io.EOFException;
import java.io.IOException;

/**
 * How many scans a JPEG file has. A decoder goes over the whole picture in each, so that a few
 * kilobytes of scans without content keep it busy for hours.
 */
final class JpegScans {
  /** What encoders write is 3 to 20. */
  static final int MOST = 100;

  static final int START_OF_SCAN = 0xDA;
  static final int END_OF_IMAGE = 0xD9;

  private JpegScans() {}

  /** Counts them; a file that ends too soon is the decoder's affair. */
  static int count(PictureStream in) throws IOException {
    int scans = 0;
    try {
      in.seek(2);
      while (true) {
        int marker = nextMarker(in);
        if (marker == END_OF_IMAGE) {
          return scans;
        }
        if (marker == START_OF_SCAN) {
          scans++;
        }
        in.skipBytes(Math.max(0, in.readUnsignedShort() - 2));
      }
    } catch (EOFException e) {
      return scans;
    }
  }

  /** The next marker that a segment follows, whatever coded data lie before it. */
  static int nextMarker(PictureStream in) throws IOException {
    while (true) {
      int value = in.readUnsignedByte();
      while (value == 0xFF) {
        value = in.readUnsignedByte();
        boolean isData = value <= 1 || (value >= 0xD0 && value <= 0xD8);
        if (value != 0xFF && !isData) {
          return value;
        }
      }
    }
  }
}
