package dreambooth4j.weights;

import java.io.BufferedInputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** Bytes of pickles: counted, and no more of them than any real one has. */
final class PickleInput extends FilterInputStream {
  /** The pickle of a whole training state has one or two. Each may become an object of 60 bytes. */
  static final int MOST_BYTES = 8 << 20;

  private long position;

  PickleInput(InputStream in) {
    super(new BufferedInputStream(in));
  }

  /** How many bytes were taken. */
  long position() {
    return position;
  }

  @Override
  public int read() throws IOException {
    int value = super.read();
    count(value < 0 ? 0 : 1);
    return value;
  }

  @Override
  public int read(byte[] bytes, int offset, int length) throws IOException {
    int got = super.read(bytes, offset, length);
    count(Math.max(got, 0));
    return got;
  }

  private void count(int bytes) throws IOException {
    position += bytes;
    if (position > MOST_BYTES) {
      throw new IOException("it has more than %,d bytes".formatted(MOST_BYTES));
    }
  }

  /** The whole number in the next 4 or 8 bytes, which stay there; -1 where they are not. */
  long peek(int bytes) throws IOException {
    byte[] number = new byte[Long.BYTES];
    in.mark(bytes);
    int got = in.readNBytes(number, 0, bytes);
    in.reset();
    return got < bytes ? -1 : ByteBuffer.wrap(number).order(ByteOrder.LITTLE_ENDIAN).getLong();
  }
}
