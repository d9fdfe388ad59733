package dreambooth4j.weights;

import dreambooth4j.Problem;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.jspecify.annotations.Nullable;

/**
 * A file of torch since version 1.6: a zip archive whose {@code data.pkl} is the pickle, and whose
 * {@code data/0}, {@code data/1} and so on are the storages, not compressed.
 */
final class ZipStorages implements TorchStorages {
  private static final String PICKLE = "data.pkl";
  private static final int MOST_ORDER_BYTES = 16;

  private final Path path;
  private final ZipFile zip;
  private final String folder;

  ZipStorages(Path path) throws IOException {
    this.path = path;
    this.zip = new ZipFile(path.toFile());
    try {
      this.folder = folder();
      requireLittleEndian();
    } catch (IOException | RuntimeException e) {
      zip.close();
      throw e;
    }
  }

  private String folder() {
    return zip.stream()
        .map(ZipEntry::getName)
        .filter(name -> name.endsWith("/" + PICKLE) && name.indexOf('/') == name.lastIndexOf('/'))
        .findFirst()
        .map(name -> name.substring(0, name.length() - PICKLE.length()))
        .orElseThrow(
            () ->
                Problem.data(
                    path
                        + ": expected a zip archive of torch with a data.pkl, found none in it: this is no model"));
  }

  private void requireLittleEndian() throws IOException {
    ZipEntry order = zip.getEntry(folder + "byteorder");
    if (order == null) {
      return;
    }
    try (InputStream in = zip.getInputStream(order)) {
      String text = new String(in.readNBytes(MOST_ORDER_BYTES), StandardCharsets.US_ASCII);
      if (!text.strip().equals("little")) {
        throw Problem.data("%s: expected little-endian numbers, found %s".formatted(path, text));
      }
    }
  }

  /** The pickle, from its beginning. */
  InputStream pickle() throws IOException {
    ZipEntry entry = stored(folder + PICKLE);
    if (entry == null) {
      throw new IOException("its data.pkl is compressed, as torch never has it");
    }
    return zip.getInputStream(entry);
  }

  /** An entry that is not compressed, whose size in the archive is therefore what it gives. */
  private @Nullable ZipEntry stored(String name) {
    ZipEntry entry = zip.getEntry(name);
    return entry != null && entry.getMethod() == ZipEntry.STORED ? entry : null;
  }

  /** The smaller of the two sizes that an entry says it has: its bytes end there. */
  @Override
  public long bytes(String key) {
    ZipEntry entry = stored(folder + "data/" + key);
    return entry == null ? -1 : Math.min(entry.getSize(), entry.getCompressedSize());
  }

  @Override
  public void read(String key, long offset, ByteBuffer target) throws IOException {
    byte[] chunk = new byte[target.remaining()];
    try (InputStream in = zip.getInputStream(zip.getEntry(folder + "data/" + key))) {
      in.skipNBytes(offset);
      if (in.readNBytes(chunk, 0, chunk.length) < chunk.length) {
        throw new EOFException("data/" + key + " is shorter than the archive says");
      }
    }
    target.put(chunk);
  }

  @Override
  public void close() throws IOException {
    zip.close();
  }
}
