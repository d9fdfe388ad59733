package dreambooth4j.data;

import dreambooth4j.Problem;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import javax.imageio.stream.ImageInputStreamImpl;

/**
 * A picture's bytes for a decoder, which is not trusted to come to an end: some take what lies
 * beyond the file's end for zeros and go on, so that a WebP file of 165 bytes keeps one busy for
 * minutes. Sound files make them try a few dozen times at most; here such a decoder ends with an
 * error, and so does whoever still asks for bytes when the time is over.
 */
final class PictureStream extends ImageInputStreamImpl {
  /** A part of a file, in bytes. */
  record Range(long from, long length) {}

  /** Of the processor: a hundred million pixels take ten seconds on a slow one. */
  static final Duration LONGEST = Duration.ofSeconds(20);

  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

  private static final int MOST_BEYOND_THE_END = 1000;
  private static final int BUFFER_BYTES = 1 << 13;

  private final Path path;
  private final FileChannel file;
  private final long deadline;

  /** By where it begins in this stream, which is the ranges one behind the other. */
  private final TreeMap<Long, Range> ranges = new TreeMap<>();

  private final long length;
  private final ByteBuffer buffer = ByteBuffer.allocate(BUFFER_BYTES).limit(0);

  /** Where the buffer begins in this stream. */
  private long buffered;

  private int beyond;

  /** All of an open file, which stays the caller's. */
  static PictureStream whole(Path path, FileChannel file) throws IOException {
    return new PictureStream(path, file, List.of(new Range(0, file.size())), LONGEST);
  }

  /** Of these parts of an open file, which stays the caller's. */
  PictureStream(Path path, FileChannel file, List<Range> parts, Duration longest) {
    this.path = path;
    this.file = file;
    this.deadline = now() + longest.toNanos();
    long end = 0;
    for (Range part : parts) {
      if (part.length > 0) {
        ranges.put(end, part);
        end += part.length;
      }
    }
    this.length = end;
  }

  /** What the thread has computed, so that others on the machine do not count, in nanoseconds. */
  private static long now() {
    return THREADS.isCurrentThreadCpuTimeSupported()
        ? THREADS.getCurrentThreadCpuTime()
        : System.nanoTime();
  }

  @Override
  public int read() throws IOException {
    checkClosed();
    bitOffset = 0;
    if (!fill()) {
      return -1;
    }
    streamPos++;
    return buffer.get() & 0xFF;
  }

  /** All that is asked for and there: {@code readInt} and its like take less for the end. */
  @Override
  public int read(byte[] bytes, int offset, int count) throws IOException {
    checkClosed();
    bitOffset = 0;
    int done = 0;
    while (done < count && fill()) {
      int part = Math.min(count - done, buffer.remaining());
      buffer.get(bytes, offset + done, part);
      streamPos += part;
      done += part;
    }
    return done == 0 && count > 0 ? -1 : done;
  }

  /** Has the buffer stand at the stream's position; false at the end. */
  private boolean fill() throws IOException {
    long inBuffer = streamPos - buffered;
    if (inBuffer >= 0 && inBuffer < buffer.limit()) {
      buffer.position((int) inBuffer);
      return true;
    }
    if (now() > deadline) {
      throw Problem.data(
          "%s takes too long to decode and is probably damaged: save it again, or remove it"
              .formatted(path));
    }
    Map.Entry<Long, Range> part = ranges.floorEntry(streamPos);
    long inPart = part == null ? 0 : streamPos - part.getKey();
    if (part == null || inPart >= part.getValue().length) {
      return isBeyond();
    }
    buffered = streamPos;
    buffer.clear().limit((int) Math.min(BUFFER_BYTES, part.getValue().length - inPart));
    int read = read(part.getValue().from + inPart);
    buffer.position(0).limit(Math.max(0, read));
    return read > 0 || isBeyond();
  }

  private int read(long position) {
    try {
      return file.read(buffer, position);
    } catch (IOException e) {
      // Not the decoder's: the file is not damaged.
      throw new Problem(Problem.Kind.DATA, path + " cannot be read: " + Problem.why(e), e);
    }
  }

  private boolean isBeyond() throws IOException {
    if (++beyond > MOST_BEYOND_THE_END) {
      throw new IOException("it ends too soon");
    }
    return false;
  }

  @Override
  public long length() {
    return length;
  }
}
