package dreambooth4j.engine.kernel;

import dreambooth4j.engine.DType;
import dreambooth4j.engine.Tensor;
import java.util.List;

/**
 * How work on [samples, pixels, channels] is cut where a thread keeps the same channels for many
 * pixels: a block has all channels of a chunk of pixels. A function of the sizes alone, so that the
 * same sizes round the same on every GPU.
 *
 * @param vector channels of a thread, 1 where the channels are no whole vectors
 * @param chunks blocks of a sample
 */
record Columns(int samples, int pixels, int channels, int vector, int threads, int chunks) {
  private static final int THREADS = 256;
  private static final int MOST_THREADS = 512;

  /** Pixels that each thread takes at least, and blocks that are enough for any GPU. */
  private static final int PIXELS = 8;

  private static final int BLOCKS = 1024;

  /**
   * Where PIXELS give fewer blocks than this, a GPU is half idle: threads take fewer, but these.
   */
  private static final int FEW_BLOCKS = 256;

  private static final int FEW_PIXELS = 2;

  /** The outermost axis counts samples, the last one channels. */
  static Columns of(Tensor x) {
    int samples = Math.toIntExact(x.size(0));
    int channels = Math.toIntExact(x.size(-1));
    int pixels = Math.toIntExact(x.count() / samples / channels);
    int vector = Launch.vector(x.dtype(), channels);
    int lanes = channels / vector;
    if (!take(x)) {
      throw new IllegalArgumentException("too many channels for this kernel: " + x);
    }
    int rows = Math.max(1, THREADS / lanes);
    int threads = (rows * lanes + 31) / 32 * 32;
    int chunks =
        Math.max(
            Math.min(Launch.blocks(pixels, rows * PIXELS, BLOCKS), Math.max(1, BLOCKS / samples)),
            Launch.blocks(pixels, rows * FEW_PIXELS, Math.max(1, FEW_BLOCKS / samples)));
    return new Columns(samples, pixels, channels, vector, threads, chunks);
  }

  /** Whether so many channels, pixels and samples can be cut so. */
  static boolean take(Tensor x) {
    long samples = x.size(0);
    long channels = x.size(-1);
    return channels / Launch.vector(x.dtype(), channels) <= MOST_THREADS
        && x.count() / samples / channels <= Integer.MAX_VALUE
        && samples <= Launch.MOST_ROWS;
  }

  /** A launch with a block for each chunk of each sample. */
  Launch launch(
      KernelSource source, String stem, DType dtype, int sharedBytes, List<Object> arguments) {
    return new Launch(
        source,
        stem + Launch.suffix(dtype, vector == 1),
        chunks,
        samples,
        threads,
        sharedBytes,
        arguments);
  }

  /** For so many sums of each of a block's channels, once for every pixel taken at a time. */
  int sharedBytes(int sums) {
    return Math.max(threads * vector, channels) * sums * Float.BYTES;
  }
}
