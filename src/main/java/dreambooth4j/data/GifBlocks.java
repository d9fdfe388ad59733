package dreambooth4j.data;

import dreambooth4j.data.PictureStream.Range;
import java.io.EOFException;
import java.io.IOException;
import java.util.List;

/**
 * The blocks of a GIF file up to its first picture. Comments and extensions of programs are left
 * out of what a decoder is given: Java's own takes the square of their length to read them. Of the
 * blocks that say what is transparent, the last one decides, and the others are left out too.
 */
final class GifBlocks {
  private static final int HEADER_BYTES = 13;
  private static final int EXTENSION = 0x21;

  /** The one that says what is transparent. */
  private static final int GRAPHIC_CONTROL = 0xF9;

  private final PictureStream in;
  private Range control = new Range(0, 0);

  private GifBlocks(PictureStream in) {
    this.in = in;
  }

  /**
   * What a decoder needs of a file: all of one that is cut short, for the decoder to say so.
   *
   * @param file at its beginning
   */
  static List<Range> pictureOf(PictureStream file) throws IOException {
    try {
      GifBlocks blocks = new GifBlocks(file);
      long header = blocks.header();
      long picture = blocks.extensions();
      return List.of(
          new Range(0, header), blocks.control, new Range(picture, file.length() - picture));
    } catch (EOFException e) {
      return List.of(new Range(0, file.length()));
    }
  }

  /** Passes over the header with its colours, and returns where it ends. */
  private long header() throws IOException {
    in.seek(HEADER_BYTES - 3);
    int flags = in.readUnsignedByte();
    boolean hasColours = (flags & 0x80) != 0;
    in.seek(HEADER_BYTES + (hasColours ? 3 << ((flags & 7) + 1) : 0));
    return in.getStreamPosition();
  }

  /** Passes over the extensions, and returns where the first block begins that is none. */
  private long extensions() throws IOException {
    long begin = in.getStreamPosition();
    while (in.readUnsignedByte() == EXTENSION) {
      boolean counts = in.readUnsignedByte() == GRAPHIC_CONTROL;
      for (int length = in.readUnsignedByte(); length > 0; length = in.readUnsignedByte()) {
        in.skipBytes(length);
      }
      long end = in.getStreamPosition();
      control = counts ? new Range(begin, end - begin) : control;
      begin = end;
    }
    return begin;
  }
}
