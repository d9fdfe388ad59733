package dreambooth4j.data;

import dreambooth4j.Problem;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * The chunks of a PNG file that decide its pixels, and where its EXIF data lie. Decoders are given
 * no others: some inflate texts and colour profiles whole, and three megabytes can become
 * gigabytes.
 */
final class PngChunks {
  private static final int SIGNATURE_BYTES = 8;

  /** Length and type before a chunk's data, checksum after. */
  private static final int AROUND = 12;

  private static final Set<String> PIXELS = Set.of("IHDR", "PLTE", "tRNS", "IDAT", "IEND");
  private static final String EXIF = "eXIf";

  private static final int MOST_CHUNKS = 1_000_000;

  private final List<PictureStream.Range> pixels = new ArrayList<>();
  private long exif = -1;

  private PngChunks() {}

  /** Walks through the chunks of an open file. */
  static PngChunks of(Path path, FileChannel file) throws IOException {
    PngChunks chunks = new PngChunks();
    long size = file.size();
    chunks.keep(0, SIGNATURE_BYTES);
    ByteBuffer head = ByteBuffer.allocate(SIGNATURE_BYTES);
    int count = 0;
    for (long at = SIGNATURE_BYTES; at + SIGNATURE_BYTES <= size; ) {
      if (++count > MOST_CHUNKS) {
        throw Problem.data(
            "%s cannot be read: it seems damaged (more than %,d chunks)"
                .formatted(path, MOST_CHUNKS));
      }
      file.read(head.clear(), at);
      long length = AROUND + (head.getInt(0) & 0xFFFF_FFFFL);
      String type = new String(head.array(), 4, 4, java.nio.charset.StandardCharsets.US_ASCII);
      if (PIXELS.contains(type)) {
        chunks.keep(at, Math.min(length, size - at));
      } else if (type.equals(EXIF)) {
        chunks.exif = at + SIGNATURE_BYTES;
      }
      at += length;
    }
    return chunks;
  }

  /** Chunks that lie one behind the other are one range. */
  private void keep(long from, long length) {
    PictureStream.Range last = pixels.isEmpty() ? null : pixels.get(pixels.size() - 1);
    if (last != null && last.from() + last.length() == from) {
      pixels.set(pixels.size() - 1, new PictureStream.Range(last.from(), last.length() + length));
    } else {
      pixels.add(new PictureStream.Range(from, length));
    }
  }

  /** The parts of the file that a decoder needs, in their order. */
  List<PictureStream.Range> pixels() {
    return pixels;
  }

  /** Where the EXIF data begin, a TIFF header with its tags; -1 if there are none. */
  long exif() {
    return exif;
  }
}
