package dreambooth4j.weights;

import dreambooth4j.engine.Tensor;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.Map;
import java.util.TreeMap;
import java.util.zip.CRC32C;

/** CRC32C in hexadecimal digits: tells bits that have flipped, not those that somebody forged. */
public final class Checksum {
  private static final int CHUNK_BYTES = 1 << 22;

  private Checksum() {}

  /** Of a tensor's bytes. */
  public static String of(Tensor tensor) {
    CRC32C crc = new CRC32C();
    tensor.readBytes((bytes, offset) -> crc.update(bytes));
    return digits(crc);
  }

  /** Of names and what they stand for, in the order of the names. */
  public static String of(Map<String, String> texts) {
    CRC32C crc = new CRC32C();
    new TreeMap<>(texts)
        .forEach(
            (name, text) ->
                crc.update((name + "\0" + text + "\0").getBytes(StandardCharsets.UTF_8)));
    return digits(crc);
  }

  /** Of a tensor's bytes as a file has them. */
  static String of(FileChannel file, TensorInfo info) throws IOException {
    CRC32C crc = new CRC32C();
    ByteBuffer chunk = ByteBuffer.allocateDirect(CHUNK_BYTES);
    for (long done = 0; done < info.bytes(); ) {
      chunk.clear().limit((int) Math.min(CHUNK_BYTES, info.bytes() - done));
      int read = file.read(chunk, info.offset() + done);
      if (read < 0) {
        throw new EOFException("it ends too soon");
      }
      crc.update(chunk.flip());
      done += read;
    }
    return digits(crc);
  }

  private static String digits(CRC32C crc) {
    return HexFormat.of().toHexDigits((int) crc.getValue());
  }
}
