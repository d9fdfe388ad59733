package dreambooth4j.events;

import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * TFRecord: how messages follow each other in a file. Each is its length (8 bytes, little-endian),
 * the masked CRC-32C of these 8 bytes, its bytes, and theirs.
 */
final class Records {
  private static final int CRC_ROTATION = 15;
  private static final int CRC_MASK = 0xa282ead8;
  private static final int LENGTH_BYTES = 8;
  private static final int CRC_BYTES = 4;

  /** A longer message is none of ours. */
  private static final int MOST_BYTES = 64 << 20;

  private Records() {}

  /** A message with what stands around it. */
  static ByteBuffer framed(byte[] message) {
    ByteBuffer framed =
        ByteBuffer.allocate(LENGTH_BYTES + CRC_BYTES + message.length + CRC_BYTES)
            .order(ByteOrder.LITTLE_ENDIAN);
    framed.putLong(message.length);
    framed.putInt(masked(framed.array(), LENGTH_BYTES));
    framed.put(message).putInt(masked(message, message.length));
    return framed.flip();
  }

  /** The next message; null at the end, and where the rest is damaged or was cut short. */
  static byte @Nullable [] next(InputStream from) throws IOException {
    DataInputStream in = new DataInputStream(from);
    byte[] head = new byte[LENGTH_BYTES + CRC_BYTES];
    try {
      in.readFully(head);
      ByteBuffer numbers = ByteBuffer.wrap(head).order(ByteOrder.LITTLE_ENDIAN);
      long length = numbers.getLong();
      if (numbers.getInt() != masked(head, LENGTH_BYTES) || length < 0 || length > MOST_BYTES) {
        return null;
      }
      byte[] message = in.readNBytes((int) length);
      byte[] tail = new byte[CRC_BYTES];
      in.readFully(tail);
      int crc = ByteBuffer.wrap(tail).order(ByteOrder.LITTLE_ENDIAN).getInt();
      return crc == masked(message, message.length) ? message : null;
    } catch (EOFException e) {
      return null;
    }
  }

  private static int masked(byte[] bytes, int length) {
    CRC32C crc = new CRC32C();
    crc.update(bytes, 0, length);
    return Integer.rotateRight((int) crc.getValue(), CRC_ROTATION) + CRC_MASK;
  }
}
