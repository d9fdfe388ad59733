package dreambooth4j.data;

import dreambooth4j.RegularFile;
import dreambooth4j.data.PictureStream.Range;
import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * The blocks of a GIF file up to its first picture. Comments and extensions of programs are left
 * out of what a decoder is given: Java's own takes the square of their length to read them.
 */
final class GifBlocks {
  private static final int HEADER_BYTES = 13;
  private static final int EXTENSION = 0x21;

  /** The one that says what is transparent. */
  private static final int GRAPHIC_CONTROL = 0xF9;

  private final DataInputStream in;
  private final List<Range> parts = new ArrayList<>();

  /** How much was read. */
  private long at;

  private GifBlocks(InputStream in) {
    this.in = new DataInputStream(new BufferedInputStream(in));
  }

  /**
   * What a decoder needs of a file: all of one that is cut short, for the decoder to say so.
   *
   * @param size of the file in bytes
   */
  static List<Range> pictureOf(Path file, long size) throws IOException {
    try (InputStream in = RegularFile.stream(file)) {
      GifBlocks blocks = new GifBlocks(in);
      blocks.skipExtensions();
      blocks.parts.add(new Range(blocks.at, size - blocks.at));
      return blocks.parts;
    } catch (EOFException e) {
      return List.of(new Range(0, size));
    }
  }

  /** Leaves {@link #at} at the first block that is no extension. */
  private void skipExtensions() throws IOException {
    skip(HEADER_BYTES - 3);
    int flags = next();
    skip(2);
    boolean hasColours = (flags & 0x80) != 0;
    skip(hasColours ? 3 << ((flags & 7) + 1) : 0);
    parts.add(new Range(0, at));
    while (next() == EXTENSION) {
      long begin = at - 1;
      boolean counts = next() == GRAPHIC_CONTROL;
      for (int length = next(); length > 0; length = next()) {
        skip(length);
      }
      if (counts) {
        parts.add(new Range(begin, at - begin));
      }
    }
    at--;
  }

  private int next() throws IOException {
    at++;
    return in.readUnsignedByte();
  }

  private void skip(int bytes) throws IOException {
    in.skipNBytes(bytes);
    at += bytes;
  }
}
