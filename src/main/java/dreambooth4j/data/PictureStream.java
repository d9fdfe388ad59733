package dreambooth4j.data;

import java.io.File;
import java.io.IOException;
import javax.imageio.ImageIO;
import javax.imageio.stream.ImageInputStream;
import javax.imageio.stream.ImageInputStreamImpl;

/**
 * A picture's bytes for a decoder. Some decoders take what lies beyond the end for zeros and go on:
 * a WebP file of 165 bytes keeps one busy for minutes. Sound files make them try a few dozen times
 * at most; here such a decoder ends with an error.
 */
final class PictureStream extends ImageInputStreamImpl {
  private static final int MOST_BEYOND_THE_END = 1000;

  private final ImageInputStream file;
  private int beyond;

  PictureStream(File file) throws IOException {
    ImageInputStream stream = ImageIO.createImageInputStream(file);
    if (stream == null) {
      throw new IOException("it cannot be opened");
    }
    this.file = stream;
  }

  @Override
  public int read() throws IOException {
    checkClosed();
    bitOffset = 0;
    int value = file.read();
    moved(value < 0 ? value : 1);
    return value;
  }

  @Override
  public int read(byte[] bytes, int offset, int length) throws IOException {
    checkClosed();
    bitOffset = 0;
    int count = file.read(bytes, offset, length);
    moved(count);
    return count;
  }

  private void moved(int count) throws IOException {
    if (count >= 0) {
      streamPos += count;
    } else if (++beyond > MOST_BEYOND_THE_END) {
      throw new IOException("it ends too soon");
    }
  }

  @Override
  public void seek(long position) throws IOException {
    super.seek(position);
    file.seek(position);
  }

  @Override
  public long length() {
    try {
      return file.length();
    } catch (IOException e) {
      return -1;
    }
  }

  @Override
  public void close() throws IOException {
    super.close();
    file.close();
  }
}
